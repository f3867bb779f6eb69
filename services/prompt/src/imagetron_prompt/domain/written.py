"""What a writer gives back: the text, who wrote it, and what it cost."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Generic, TypeVar

from imagetron_contracts.rpc import Source

T_co = TypeVar("T_co", covariant=True)
ErrorT = TypeVar("ErrorT", bound=Exception)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or several calls of a language model, and their price in US dollars (None: no price is configured)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = None


NOTHING_USED: Final = Usage()


def spent(error: ErrorT, usage: Usage) -> ErrorT:
    """The same error, with what was paid before it came to that."""
    error.usage = usage  # type: ignore[attr-defined]  # errors of several families carry it; only `usage_of` reads it
    return error


def usage_of(error: BaseException) -> Usage:
    """What was paid although it ended in this error."""
    usage = getattr(error, "usage", NOTHING_USED)
    return usage if isinstance(usage, Usage) else NOTHING_USED


@dataclass(frozen=True, slots=True)
class Written(Generic[T_co]):
    """A text as it came: data of a stranger, not yet cleaned. `template` names the instructions with their version."""

    value: T_co
    source: Source
    template: str
    usage: Usage = NOTHING_USED


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt that was written for a subject."""

    subject: str
    title: str
    text: str
