"""Models as callers choose them: native sizes, parameter ranges, what they need. Who runs them is a provider's matter."""

import math
from collections.abc import Mapping
from typing import Final, Self

from pydantic import Field, model_validator

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value

# A delivery is held at most ten minutes, and the image must still be stored.
MAX_IMAGE_SECONDS: Final = 480.0
DEFAULT_MODEL: Final = "photorealistic"
"""Of a caller that names none."""


class IntegerRange(Value):
    """Inclusive."""

    minimum: int
    maximum: int
    default: int

    @model_validator(mode="after")
    def _default_is_inside(self) -> "IntegerRange":
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError(f"default {self.default} is outside {self.minimum}..{self.maximum}")
        return self


class NumberRange(Value):
    """Inclusive."""

    minimum: float
    maximum: float
    default: float

    @model_validator(mode="after")
    def _default_is_inside(self) -> "NumberRange":
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError(f"default {self.default:g} is outside {self.minimum:g}..{self.maximum:g}")
        return self


class Model(Value):
    """One entry of the catalogue."""

    name: str
    title: str
    description: str
    provider: str
    provider_model: str
    """What the provider calls it."""
    buckets: tuple[Dimensions, ...] = Field(min_length=1)
    """Sizes that the model renders natively."""
    steps: IntegerRange
    guidance: NumberRange
    vram_gib: float
    seconds_per_megapixel_step: float = Field(gt=0)
    """An upper estimate on the hardware that serves it; deadlines follow from it."""

    @model_validator(mode="after")
    def _slowest_image_can_finish(self) -> Self:
        largest = max(self.buckets, key=lambda size: size.width * size.height)
        seconds = self.estimated_seconds(largest, self.steps.maximum)
        if seconds > MAX_IMAGE_SECONDS:
            raise ValueError(
                f"{self.name} may need {seconds:.0f} s for one image of {largest} in {self.steps.maximum} steps; "
                f"at most {MAX_IMAGE_SECONDS:.0f} are possible: allow fewer steps or smaller buckets"
            )
        return self

    def bucket_for(self, size: Dimensions) -> Dimensions:
        """The native size whose aspect ratio is nearest (equal errors either way count alike); the larger one on a tie."""
        wanted = math.log(size.width / size.height)

        def distance(bucket: Dimensions) -> tuple[float, int]:
            return (round(abs(math.log(bucket.width / bucket.height) - wanted), 9), -bucket.width * bucket.height)

        return min(self.buckets, key=distance)

    def estimated_seconds(self, render: Dimensions, steps: int) -> float:
        """How long one image may take in the model."""
        return render.width * render.height / 1e6 * steps * self.seconds_per_megapixel_step


Catalogue = Mapping[str, Model]
