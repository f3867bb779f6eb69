"""Models as callers choose them: native sizes, parameter ranges, what they need. Who runs them is a provider's matter."""

import math
from collections.abc import Mapping
from typing import Final, Self

from pydantic import Field, model_validator

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value
from imagetron_contracts.spec import Verb
from imagetron_contracts.stages import Pool
from imagetron_gateway.domain.prices import PriceTier, price_micros
from imagetron_gateway.domain.providers import DELIVERY_OF, Delivery, pool_of

# A delivery is held at most ten minutes, and the image must still be stored.
MAX_IMAGE_SECONDS: Final = 480.0
DEFAULT_MODEL: Final = "photorealistic"
"""Of a caller that names none."""
UPSCALER: Final = "upscaler"
"""Who enlarges pictures, unless their own provider does."""


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
    vram_gib: float = Field(default=0, ge=0)
    """Of our own hardware."""
    seconds_per_image: float = Field(default=0, ge=0)
    seconds_per_megapixel: float = Field(default=0, ge=0)
    seconds_per_megapixel_step: float = Field(default=0, ge=0)
    """Their sum is an upper estimate on the hardware that serves it; deadlines follow from it."""
    prices: tuple[PriceTier, ...] = Field(default=(), validate_default=True)
    """In US dollars. A file may give them once for all its models."""
    verbs: tuple[Verb, ...] = (Verb.IMAGINE, Verb.REROLL)
    takes_negative_prompts: bool = True
    is_reproducible: bool = True
    """The same inputs and seed give the same picture."""
    licence: str = ""
    tone: str = ""
    """What its pictures look like, in a few words."""
    fallback: str | None = None
    """The model that may make the pictures if this one cannot, where the caller allows that."""

    @model_validator(mode="after")
    def _provider_is_known(self) -> Self:
        if self.provider not in DELIVERY_OF:
            raise ValueError(f"{self.name} has the provider {self.provider!r}; there are {', '.join(DELIVERY_OF)}")
        return self

    @model_validator(mode="after")
    def _slowest_image_can_finish(self) -> Self:
        largest = max(self.buckets, key=lambda size: size.width * size.height)
        seconds = self.estimated_seconds(largest, self.steps.maximum)
        if seconds <= 0:
            raise ValueError(f"{self.name} says nothing of how long an image takes: give one of the seconds per ...")
        if self.delivery.is_held and seconds > MAX_IMAGE_SECONDS:
            raise ValueError(
                f"{self.name} may need {seconds:.0f} s for one image of {largest} in {self.steps.maximum} steps; "
                f"at most {MAX_IMAGE_SECONDS:.0f} are possible: allow fewer steps or smaller buckets"
            )
        return self

    @property
    def delivery(self) -> Delivery:
        return DELIVERY_OF[self.provider]

    @property
    def pool(self) -> Pool:
        return pool_of(self.provider)

    def bucket_for(self, size: Dimensions) -> Dimensions:
        """The native size whose aspect ratio is nearest (equal errors either way count alike). On a tie the smallest that has
        all the pixels wanted, or else the largest.
        """
        wanted, pixels = math.log(size.width / size.height), size.width * size.height

        def distance(bucket: Dimensions) -> tuple[float, bool, int]:
            error = round(abs(math.log(bucket.width / bucket.height) - wanted), 9)
            area = bucket.width * bucket.height
            return (error, area < pixels, area if area >= pixels else -area)

        return min(self.buckets, key=distance)

    def estimated_seconds(self, render: Dimensions, steps: int) -> float:
        """How long one image may take; of a provider that makes several at once, how long these take together."""
        megapixels = render.width * render.height / 1e6
        by_size = megapixels * (self.seconds_per_megapixel + steps * self.seconds_per_megapixel_step)
        return self.seconds_per_image + by_size

    def price_micros(self, size: Dimensions) -> int:
        """Of one delivered image of this size, in micro-dollars; 0 where the catalogue names no price."""
        return price_micros(size, self.prices) if self.prices else 0


Catalogue = Mapping[str, Model]
