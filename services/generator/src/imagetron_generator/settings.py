"""The generator's settings."""

from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from imagetron_chassis.settings import BaseServiceSettings


def _names(value: Any) -> Any:  # noqa: ANN401 - whatever was given; pydantic judges the result
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


class Settings(BaseServiceSettings):
    """Which Triton, how much at once, and which models are watched."""

    PREFIX: ClassVar[str] = "GENERATOR_"

    triton_url: str = Field(
        default="127.0.0.1:8002",
        pattern=r"^[^/\s]+:\d+$",
        validation_alias=AliasChoices("GENERATOR_TRITON_URL", "ML_IMAGE_SERVICE_URL"),
        description="Triton's gRPC address, host:port.",
    )
    max_concurrent_jobs: int = Field(
        default=2,
        ge=1,
        le=64,
        validation_alias=AliasChoices("GENERATOR_MAX_CONCURRENT_JOBS", "MAX_CONCURRENT_JOBS"),
        description="Families that one generator process has with the model at once. It takes fewer while Triton is full, "
        "away or out of memory.",
    )
    health_models: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=("preview",),
        min_length=1,
        description="Models whose health is reported, by their Triton names, separated by commas. While none of them "
        "answers, this process consumes no families.",
    )
    health_interval_seconds: float = Field(
        default=15, gt=0, description="Pause between two synthetic inferences of a model."
    )
    health_deadline_seconds: float = Field(
        default=30,
        gt=0,
        description="How long a synthetic inference may take. Longer than the slowest step of a real picture.",
    )
