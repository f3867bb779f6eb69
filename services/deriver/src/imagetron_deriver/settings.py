"""What an operator can set for the deriver."""

import os
from typing import ClassVar

from pydantic import Field

from imagetron_chassis.settings import BaseServiceSettings


class Settings(BaseServiceSettings):
    PREFIX: ClassVar[str] = "DERIVER_"

    processes: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=128,
        description="Processes that cut and encode, each one core and up to 1 GiB. Default: the number of CPUs.",
    )
