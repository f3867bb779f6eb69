"""Writes without a language model: fixed words, chosen by a hash of what was asked. The same request, the same answer."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, TypeVar

from imagetron_contracts.rpc import Source, SubjectsTurn
from imagetron_prompt.domain.cleaning import one_line
from imagetron_prompt.domain.written import Draft, Written

_COMPOSITIONS: Final = (
    "the subject on a third of the frame, with open space beside it",
    "a calm, centred composition with clean edges",
    "a low viewpoint with strong leading lines",
    "a wide view with a clear foreground, middle ground and background",
    "a close view with a shallow depth of field",
    "a symmetrical composition seen straight on",
)
_LIGHTS: Final = (
    "soft morning light",
    "warm light of the last hour before sunset",
    "even light of an overcast sky",
    "clear midday light with short shadows",
    "light from one large window at the side",
    "blue light of the hour after sunset",
)
_STYLES: Final = (
    "natural colours, photographed with a 35 mm lens",
    "muted colours, fine detail, photographed on film",
    "vivid but believable colours, crisp detail",
    "a restrained palette of three colours, photographic",
    "high detail and natural texture, photographed with an 85 mm lens",
    "clean, contemporary editorial photography",
)
_MOMENTS: Final = (
    "at first light",
    "in the rain",
    "after sunset",
    "in autumn",
    "in winter",
    "on a summer day",
    "in the fog",
    "at noon",
    "in spring",
    "under a starry sky",
    "just after a storm",
    "on a windy day",
)
_VIEWS: Final = (
    "seen from above",
    "seen from far away",
    "in close detail",
    "reflected in water",
    "with a single person",
    "without any people",
    "framed by a doorway",
    "as a silhouette",
    "in motion",
    "in miniature",
    "from below",
    "through a window",
    "beside the road",
    "in a quiet corner",
    "at the edge of town",
    "in black and white",
    "with a splash of red",
    "on a wide plain",
    "in the middle of a crowd",
    "in an empty room",
)
_TITLE_TAILS: Final = (
    "at a glance",
    "in another light",
    "up close",
    "revisited",
    "from afar",
    "once more",
    "in detail",
    "from the side",
    "in the open",
)
_LEADING_ON: Final = frozenset(
    {"a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "to", "with", "from", "under", "over", "after", "for"}
)
# So much of a topic or subject stands in a text that is built around it.
_QUOTED_CHARACTERS: Final = 120
_TITLE_WORDS: Final = 8
_PUNCTUATION: Final = " .,;:"
_TITLE_WORDS_CHARACTERS: Final = 60

T = TypeVar("T")


class OfflineWriter:
    """Implements the Writer port. It needs nothing, takes no time and costs nothing."""

    async def enhance(self, intent: str, prompt: str, *, budget_seconds: float) -> Written[str]:  # noqa: ARG002 - the port's
        text = prompt.strip().rstrip(_PUNCTUATION) or prompt
        return _written(
            f"{text}. Made for {one_line(intent, _QUOTED_CHARACTERS)}: {_manner(intent, prompt)}.", "enhance"
        )

    async def subjects(
        self,
        topic: str,
        count: int,
        earlier: Sequence[SubjectsTurn],
        *,
        call_id: str,  # noqa: ARG002 - the port's
        budget_seconds: float,  # noqa: ARG002 - the port's
    ) -> Written[tuple[str, ...]]:
        """Fewer than were asked for, once every variation of the topic has been proposed."""
        known = {subject.casefold() for turn in earlier for subject in turn.subjects}
        new = [subject for subject in _variations(topic) if subject.casefold() not in known]
        return _written(tuple(new[:count]), "subjects")

    async def prompts(
        self,
        subjects: Sequence[str],
        per_subject: int,
        style: str,
        *,
        call_id: str,  # noqa: ARG002 - the port's
        budget_seconds: float,  # noqa: ARG002 - the port's
    ) -> Written[tuple[Draft, ...]]:
        drafts = (_draft(subject, style, number) for subject in subjects for number in range(per_subject))
        return _written(tuple(drafts), "prompts")

    async def title(
        self,
        text: str,
        current: str,
        *,
        call_id: str,  # noqa: ARG002 - the port's
        budget_seconds: float,  # noqa: ARG002 - the port's
    ) -> Written[str]:
        words = _shortened(text)
        candidates = (words, *(f"{words} {tail}" for tail in _turned(_TITLE_TAILS, text, current)))
        return _written(next(title for title in candidates if title.casefold() != current.casefold()), "title")

    async def close(self) -> None:
        """Nothing is open."""


def _written(value: T, task: str) -> Written[T]:
    return Written(value, Source.OFFLINE, f"offline-{task}@1")


def _variations(topic: str) -> Iterator[str]:
    """More of them than a model is reminded of, so that there is always a new one."""
    short = _stem(topic, _QUOTED_CHARACTERS)
    moments, views = _turned(_MOMENTS, topic), _turned(_VIEWS, topic)
    rounds = math.lcm(len(moments), len(views))
    # Both change from one subject to the next. Each shift of one against the other meets other pairs, until all were met.
    for shift, place in product(range(math.gcd(len(moments), len(views))), range(rounds)):
        yield f"{short} {moments[place % len(moments)]}, {views[(place + shift) % len(views)]}"


def _draft(subject: str, style: str, number: int) -> Draft:
    manner = ", ".join(part for part in (_manner(subject, number=number), one_line(style, _QUOTED_CHARACTERS)) if part)
    title = _shortened(subject) + (f" {_TITLE_TAILS[number - 1]}" if number else "")
    return Draft(subject, title, f"{subject.strip().rstrip(_PUNCTUATION) or subject}: {manner}.")


def _manner(*asked: str, number: int = 0) -> str:
    """Another one for each number: the light moves on once more whenever the compositions begin again."""
    places = (number, number + number // len(_COMPOSITIONS), number)
    words = (_COMPOSITIONS, _LIGHTS, _STYLES)
    return ", ".join(
        _turned(some, *asked, some[0])[place % len(some)] for some, place in zip(words, places, strict=True)
    )


def _shortened(text: str) -> str:
    """Its first clause, without words at the end that lead on to something."""
    words = one_line(text, _QUOTED_CHARACTERS).partition(",")[0].split()[:_TITLE_WORDS]
    while len(words) > 1 and words[-1].casefold() in _LEADING_ON:
        words.pop()
    return _stem(" ".join(words), _TITLE_WORDS_CHARACTERS)


def _stem(text: str, at_most: int) -> str:
    """In one line and without the punctuation at its end, so that more can follow."""
    return one_line(one_line(text, at_most).rstrip(_PUNCTUATION), at_most) or "A picture"


def _turned(words: Sequence[str], *asked: str) -> tuple[str, ...]:
    """The words in their order, beginning where the hash of what was asked says."""
    digest = hashlib.sha256("\0".join(asked).encode()).digest()
    first = int.from_bytes(digest[:4]) % len(words)
    return (*words[first:], *words[:first])
