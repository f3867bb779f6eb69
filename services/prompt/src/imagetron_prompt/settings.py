"""The prompt service's settings: so far those of every service."""

from typing import ClassVar

from imagetron_chassis.settings import BaseServiceSettings


class Settings(BaseServiceSettings):
    """Nothing of its own yet."""

    PREFIX: ClassVar[str] = "PROMPT_"
    USES_OBJECTS: ClassVar[bool] = False
