"""What an operator can set for the publisher: so far only what every service has."""

from typing import ClassVar

from imagetron_chassis.settings import BaseServiceSettings


class Settings(BaseServiceSettings):
    PREFIX: ClassVar[str] = "PUBLISHER_"
