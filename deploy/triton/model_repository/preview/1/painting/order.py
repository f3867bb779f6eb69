"""What one request asks for, checked. The protocol's tensors are taken apart in model.py."""

from dataclasses import dataclass, field

import numpy as np

SMALLEST, LARGEST, MULTIPLE = 64, 4096, 8
MOST_STEPS = 150
MOST_GUIDANCE = 100
LONGEST_PROMPT = 4000
LARGEST_SEED = 2**63 - 1


class Refused(ValueError):
    """The request cannot be served as asked; the message says why."""


@dataclass(frozen=True)
class Order:
    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: float
    source: "np.ndarray | None" = field(default=None, repr=False, compare=False)
    """uint8 [rows, columns, 3] of any size; the picture is a blend of it and the painting."""
    strength: float = 1.0
    """How far the picture goes from the source: 0 gives it back, 1 is the painting alone."""

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise Refused("PROMPT is empty; it must say what to paint.")
        for name, text in (("PROMPT", self.prompt), ("NEGATIVE_PROMPT", self.negative_prompt)):
            if len(text) > LONGEST_PROMPT:
                raise Refused(f"{name} has {len(text)} characters; at most {LONGEST_PROMPT} are allowed.")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise Refused(f"SEED is {self.seed}; it must be between 0 and {LARGEST_SEED}.")
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


def _check_source(shape: "tuple[int, ...]") -> None:
    if len(shape) != 3 or shape[2] != 3 or not all(1 <= length <= LARGEST for length in shape[:2]):  # noqa: PLR2004 RGB
        raise Refused(f"SOURCE has the shape {list(shape)}; it must be [height, width, 3], each at most {LARGEST}.")


def text_of(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not valid UTF-8: {error.reason} at byte {error.start}.") from error
