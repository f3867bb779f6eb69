"""Models as callers choose them: native sizes, parameter ranges, what they need. Who runs them is a provider's matter."""

import math
from collections.abc import Mapping

from pydantic import Field, model_validator

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value


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
