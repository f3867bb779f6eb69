"""What the prompt service's use cases need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imagetron_chassis.errors import Permanent, Transient, UnknownOutcome
from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import SubjectsTurn
from imagetron_prompt.domain.calls import Call
from imagetron_prompt.domain.prompts import KeptPrompt
from imagetron_prompt.domain.written import Draft, Written


class TooSlow(UnknownOutcome):
    """The language model did not answer within the budget. It may have been paid for."""


class Unusable(Transient):
    """The language model answered something else than was asked for. It was paid for; another try may do better."""


class Declined(Permanent):
    """The language model refuses to write about this."""


class Writer(Protocol):
    """Writes texts. A language model, or templates in our own code.

    Every method ends within its budget. Errors: TooSlow, Unusable, Declined; RateLimited, QuotaExceeded, Transient and
    Permanent of the chassis. No error holds any text of the request or of the answer.
    """

    async def enhance(self, intent: str, prompt: str, *, budget_seconds: float) -> Written[str]:
        """One final prompt that says what the rough one means, made for its intent."""
        ...

    async def subjects(
        self, topic: str, count: int, earlier: Sequence[SubjectsTurn], *, call_id: str, budget_seconds: float
    ) -> Written[tuple[str, ...]]:
        """Up to `count` subjects for pictures on the topic, other ones than in the earlier turns (oldest first)."""
        ...

    async def prompts(
        self, subjects: Sequence[str], per_subject: int, style: str, *, call_id: str, budget_seconds: float
    ) -> Written[tuple[Draft, ...]]:
        """`per_subject` prompts for each subject, in the order of the subjects, each with a title."""
        ...

    async def title(self, text: str, current: str, *, call_id: str, budget_seconds: float) -> Written[str]:
        """A title for the prompt, another one than the current."""
        ...


@dataclass(frozen=True, slots=True)
class PromptsPage:
    """Some prompts, newest first, and the cursor of the next page (None: that was the last)."""

    prompts: Sequence[KeptPrompt]
    next: str | None


class Prompts(Protocol):
    """The kept prompts. A principal sees its own; what it may not see does not exist for it."""

    async def add(self, prompt: KeptPrompt, principal: Principal) -> bool:
        """Store a new prompt; False if one with this id is there already: it stays as it is."""
        ...

    async def get(self, prompt_id: str, principal: Principal) -> KeptPrompt | None: ...

    async def page(self, principal: Principal, *, status: str | None, after: str | None, limit: int) -> PromptsPage:
        """As many as fit into a message. Raises InvalidCursor on a cursor that this method did not make."""
        ...

    async def replace(self, prompt: KeptPrompt, principal: Principal, *, if_version: int) -> bool:
        """Store the changed prompt if nobody changed it meanwhile; say whether that happened."""
        ...

    async def remove(self, prompt_id: str, principal: Principal, *, if_version: int | None) -> bool:
        """Remove the prompt if it is there, with this version; say whether that happened."""
        ...


@dataclass(frozen=True, slots=True)
class TurnsPage:
    """Some turns, newest first, and the cursor of the next page (None: that was the last)."""

    turns: Sequence[SubjectsTurn]
    next: str | None


class Turns(Protocol):
    """The subjects' chats. A chat is its owner's alone, also for a principal that sees all owners' other things."""

    async def add(self, turn: SubjectsTurn, principal: Principal) -> bool:
        """Store a new turn; False if one with this id is there already: it stays as it is."""
        ...

    async def get(self, turn_id: str, principal: Principal) -> SubjectsTurn | None: ...

    async def page(self, principal: Principal, *, after: str | None, limit: int) -> TurnsPage:
        """As many as fit into a message. Raises InvalidCursor on a cursor that this method did not make."""
        ...

    async def forget(self, principal: Principal) -> int:
        """Remove all turns, say how many there were."""
        ...


class Calls(Protocol):
    """The ledger of paid calls. A call is its owner's alone."""

    async def add(self, call: Call, principal: Principal) -> bool:
        """Store a new call; False if one with this id is there already, whoever's it is."""
        ...

    async def get(self, call_id: str, principal: Principal) -> Call | None: ...

    async def replace(self, call: Call, principal: Principal, *, if_version: int) -> bool:
        """Store the changed call if nobody changed it meanwhile; say whether that happened."""
        ...
