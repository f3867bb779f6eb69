"""What one request asks for, checked. The protocol's tensors are taken apart in model.py."""

from dataclasses import dataclass

SMALLEST, LARGEST, MULTIPLE = 64, 4096, 8
MOST_STEPS = 150
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
        if not 1 <= self.steps <= MOST_STEPS:
            raise Refused(f"STEPS is {self.steps}; it must be between 1 and {MOST_STEPS}.")
        if not 0 <= self.guidance <= 100:  # noqa: PLR2004 also refuses NaN; no model has use for more
            raise Refused(f"GUIDANCE is {self.guidance}; it must be between 0 and 100.")


def text_of(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not valid UTF-8: {error.reason} at byte {error.start}.") from error
