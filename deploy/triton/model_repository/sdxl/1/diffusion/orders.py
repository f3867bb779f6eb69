"""What one request asks for, checked, and what it gets. The protocol's tensors are taken apart in model.py."""

from dataclasses import dataclass, field

import numpy as np

from .failures import Refused

SMALLEST, LARGEST, MULTIPLE = 64, 4096, 8
MOST_STEPS = 150
MOST_GUIDANCE = 100
MOST_IMAGES = 8
LONGEST_PROMPT = 4000
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Order:
    """One image per seed. `source` is uint8 [height, width, 3] and begins the pictures; any size, it is cropped to fit."""

    checkpoint: str
    """A name in the folder of checkpoints; empty for the one in memory that was used last (health checks)."""
    prompt: str = field(repr=False)
    seeds: tuple[int, ...]
    width: int
    height: int
    steps: int
    guidance: float
    negative_prompt: str = field(default="", repr=False)
    scheduler: str = ""
    """A name of schedulers.NAMES; empty for the checkpoint's own."""
    source: np.ndarray | None = field(default=None, repr=False, compare=False)
    strength: float = 1.0
    """How far the pictures may go from the source: 0 gives it back, 1 keeps only its size."""

    def __post_init__(self) -> None:
        _check_texts(PROMPT=self.prompt, NEGATIVE_PROMPT=self.negative_prompt)
        _check_seeds(self.seeds)
        for name, length in (("WIDTH", self.width), ("HEIGHT", self.height)):
            if not SMALLEST <= length <= LARGEST or length % MULTIPLE:
                raise Refused(f"{name} is {length}; it must be a multiple of {MULTIPLE} from {SMALLEST} to {LARGEST}.")
        # NaN is between no two numbers.
        for name, value, least, most in (
            ("STEPS", self.steps, 1, MOST_STEPS),
            ("GUIDANCE", self.guidance, 0, MOST_GUIDANCE),
            ("STRENGTH", self.strength, 0, 1),
        ):
            if not least <= value <= most:
                raise Refused(f"{name} is {value}; it must be between {least} and {most}.")
        if self.source is not None:
            _check_source(self.source.shape)

    @property
    def is_guided(self) -> bool:
        """At 1 and below the unconditional half has no say, and it is left out."""
        return self.guidance > 1

    @property
    def skipped_steps(self) -> int:
        """The steps that a source stands in for, as diffusers' image-to-image pipeline counts them."""
        if self.source is None:
            return 0
        return self.steps - min(int(self.steps * self.strength), self.steps)

    @property
    def active_steps(self) -> int:
        return self.steps - self.skipped_steps


def _check_texts(**texts: str) -> None:
    if not texts["PROMPT"].strip():
        raise Refused("PROMPT is empty; it must say what to paint.")
    for name, text in texts.items():
        if len(text) > LONGEST_PROMPT:
            raise Refused(f"{name} has {len(text)} characters; at most {LONGEST_PROMPT} are allowed.")


def _check_seeds(seeds: tuple[int, ...]) -> None:
    if not 1 <= len(seeds) <= MOST_IMAGES:
        raise Refused(f"SEED has {len(seeds)} values; one for each image, 1 to {MOST_IMAGES}.")
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise Refused(f"SEED is {seed}; it must be between 0 and {LARGEST_SEED}.")


def _check_source(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or shape[2] != 3 or not all(1 <= length <= LARGEST for length in shape[:2]):  # noqa: PLR2004 RGB
        raise Refused(f"SOURCE has the shape {list(shape)}; it must be [height, width, 3], each at most {LARGEST}.")


@dataclass(frozen=True)
class Picture:
    """`images` is uint8 [one per seed, height, width, 3], RGB. `model_seconds` is this order's share of the time.

    `steps` were done: fewer than asked for where a source stood in for the first ones.
    """

    images: np.ndarray = field(repr=False)
    steps: int
    fingerprint: str
    model_seconds: float


@dataclass(frozen=True)
class Failure:
    code: str
    sentence: str


Outcome = Picture | Failure


def text_of(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not valid UTF-8: {error.reason} at byte {error.start}.") from error
