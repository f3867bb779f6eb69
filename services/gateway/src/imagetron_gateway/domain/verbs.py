"""What may be done with an image that exists, as a table over its state; and how much larger an upscaled one becomes. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_gateway.domain.job import Image, ImageStatus, Job

_NOTHING: Final[frozenset[Verb]] = frozenset()
ALLOWED: Final[Mapping[ImageStatus, frozenset[Verb]]] = MappingProxyType(
    {
        ImageStatus.WAITING: _NOTHING,
        ImageStatus.RENDERED: _NOTHING,
        ImageStatus.DERIVED: _NOTHING,
        # Its inputs are there, its pixels are not.
        ImageStatus.FAILED: frozenset({Verb.REROLL}),
        ImageStatus.PUBLISHED: frozenset({Verb.REROLL, Verb.VARY, Verb.UPSCALE}),
    }
)
"""By the image's own state: its neighbours' failures and its job's end do not matter."""

STOCK_PIXELS: Final = 4_000_000
"""What picture agencies ask for at least."""
FACTORS: Final = (2, 3, 4)
MAX_SIDE: Final = 8192
MAX_PIXELS: Final = 40_000_000


class Mode(StrEnum):
    """How far a variation goes."""

    SUBTLE = "subtle"
    STRONG = "strong"

    @property
    def strength(self) -> float:
        """The share of the denoising that a model does again."""
        return {Mode.SUBTLE: 0.35, Mode.STRONG: 0.7}[self]


@dataclass(frozen=True, slots=True)
class Enlarged:
    """The sizes of an upscaled picture: what is rendered, and the master that is cut from it."""

    render: Dimensions
    master: Dimensions


def objection_to(job: Job, image: Image, verb: Verb) -> str | None:
    """Why this cannot be done with the image now; None if it can."""
    if verb not in ALLOWED[image.status]:
        return f"the image is {image.status.value}; {_possible(image.status)}"
    if job.verb is Verb.UPSCALE and verb is not Verb.VARY:
        return f"the image is an upscaled one; {verb.value} the image that it was made from"
    return None


def verbs_for(job: Job, image: Image) -> list[Verb]:
    """What may be done with it now."""
    return [verb for verb in (Verb.REROLL, Verb.VARY, Verb.UPSCALE) if objection_to(job, image, verb) is None]


def enlarged(master: Dimensions, source: Dimensions, factor: int | None = None) -> Enlarged | None:
    """The master `factor` times as wide, or with the smallest factor that gives picture agencies their pixels; of a small one
    with the largest that there is.

    `source` is the size of the picture that is enlarged: it grows by the smallest whole number that leaves the master enough
    to be cut from. None if no factor fits into what can be stored.
    """
    area = master.width * master.height
    enough = (candidate for candidate in FACTORS if area * candidate**2 >= STOCK_PIXELS)
    chosen = factor or next(enough, FACTORS[-1])
    width, height = master.width * chosen, master.height * chosen
    render = _covering(source, width, height)
    return Enlarged(render=render, master=Dimensions(width=width, height=height)) if render else None


def _covering(source: Dimensions, width: int, height: int) -> Dimensions | None:
    times = math.ceil(max(width / source.width, height / source.height))
    size = (source.width * times, source.height * times)
    fits = max(*size, width, height) <= MAX_SIDE and size[0] * size[1] <= MAX_PIXELS
    return Dimensions(width=size[0], height=size[1]) if fits else None


def _possible(status: ImageStatus) -> str:
    allowed = ALLOWED[status]
    if not allowed:
        return "wait until it has ended"
    return f"what can be done with it: {', '.join(sorted(verb.value for verb in allowed))}"
