"""Requests to the prompt service and its replies: the only messages that may carry prompts, hence short-lived.

Each request is answered with its `REPLY`, or with REQUEST_REFUSED.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field

from imagetron_contracts.message import Message, Value

MAX_PROMPT_CHARACTERS: Final = 4000
"""Of a prompt that a person writes or approves."""
MAX_WRITTEN_CHARACTERS: Final = 1000
"""Of a prompt that a language model writes for a subject: ten of them fit into one message."""
MAX_SUBJECT_CHARACTERS: Final = 200
MAX_TITLE_CHARACTERS: Final = 100
MAX_SUBJECTS: Final = 20
"""In one answer of the subjects' chat."""
MAX_PROMPTS: Final = 10
"""Written in one request."""
MAX_PAGE: Final = 200


class Source(StrEnum):
    """Who wrote a text. `offline`: no language model did; templates in our own code."""

    MODEL = "model"
    OFFLINE = "offline"


class Refusal(StrEnum):
    """Why a request was refused, in one stable word."""

    INVALID = "invalid"
    """The request is not acceptable; `field` names what."""
    NOT_FOUND = "not_found"
    CHANGED = "changed"
    """The document has another version than the request expects; nothing was changed."""
    KEY_REUSED = "key_reused"
    """The call's id was used before, for another request."""
    STILL_RUNNING = "still_running"
    """The same call is under way; ask again after `retryAfterSeconds`."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The call was begun, and paid for as often as is allowed, and nobody knows its answer."""
    RATE_LIMITED = "rate_limited"
    QUOTA_EXCEEDED = "quota_exceeded"
    CONTENT_FILTERED = "content_filtered"
    """The language model declined to write this."""
    TIMED_OUT = "timed_out"
    """The language model took longer than the request's budget."""
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Caller(Value):
    """On whose behalf a request is made. The gateway has authenticated it."""

    owner: str
    sees_all_owners: bool = False


class PaidCall(Value):
    """The identity of a request that spends money: the same id and fingerprint are the same request, paid for once."""

    id: str
    fingerprint: str


class SubjectsTurn(Value):
    """One turn of an owner's subjects chat: what was asked, and the subjects that came back."""

    id: str
    topic: str
    subjects: tuple[str, ...]
    source: Source
    template: str
    """Which of the service's instructions led to it, with their version: `subjects@1`."""
    created_at: datetime


class Prompt(Value):
    """An image prompt as its owner keeps it. `status` is the owner's own label and says nothing about jobs."""

    id: str
    version: int
    title: str
    text: str
    """Reaches the model byte for byte."""
    subject: str | None = None
    status: str
    source: Source
    template: str
    created_at: datetime
    updated_at: datetime


def _known_refusal(value: object) -> object:
    """A word of a newer service must not make its refusal unreadable."""
    return value if value in set(Refusal) else None


class RequestRefused(Message):
    """The request could not be answered; the sentence says why."""

    TYPE: ClassVar[str] = "REQUEST_REFUSED"
    ROUTING_KEY: ClassVar[str] = "prompt.refused"
    message: str
    retryable: bool
    code: Annotated[Refusal | None, BeforeValidator(_known_refusal)] = None
    """Absent, too, for a reader that is older than the word."""
    field: str | None = None
    """The field of the request that is not acceptable."""
    retry_after_seconds: float | None = None


class PromptsDescribed(Message):
    """The prompt service's answer about itself. `source` is `offline` until a language model is configured."""

    TYPE: ClassVar[str] = "PROMPTS_DESCRIBED"
    ROUTING_KEY: ClassVar[str] = "prompt.described"
    service_version: str
    source: str
    model: str | None = None
    statuses: tuple[str, ...] | None = None
    """The labels that a prompt may have; the first is that of a new one."""


class PromptEnhanced(Message):
    """A proposal for the final prompt. Nothing of it was kept: what counts is what the person makes of it."""

    TYPE: ClassVar[str] = "PROMPT_ENHANCED"
    ROUTING_KEY: ClassVar[str] = "prompt.enhanced"
    final_prompt: str
    source: Source


class SubjectsProposed(Message):
    """The new turn of the chat, kept."""

    TYPE: ClassVar[str] = "SUBJECTS_PROPOSED"
    ROUTING_KEY: ClassVar[str] = "prompt.subjects.proposed"
    turn: SubjectsTurn
    is_replay: bool = False


class SubjectsHistory(Message):
    """Turns of the chat, newest first; as many as fit into a message."""

    TYPE: ClassVar[str] = "SUBJECTS_HISTORY"
    ROUTING_KEY: ClassVar[str] = "prompt.subjects.history"
    turns: tuple[SubjectsTurn, ...]
    next: str | None = None
    """The cursor of the following page; absent on the last."""


class SubjectsForgotten(Message):
    """The chat is empty."""

    TYPE: ClassVar[str] = "SUBJECTS_FORGOTTEN"
    ROUTING_KEY: ClassVar[str] = "prompt.subjects.forgotten"
    count: int


class PromptsWritten(Message):
    """The new prompts, kept, in the order of their subjects."""

    TYPE: ClassVar[str] = "PROMPTS_WRITTEN"
    ROUTING_KEY: ClassVar[str] = "prompt.written"
    prompts: tuple[Prompt, ...]
    is_replay: bool = False


class PromptPage(Message):
    """Prompts, newest first; as many as fit into a message."""

    TYPE: ClassVar[str] = "PROMPT_PAGE"
    ROUTING_KEY: ClassVar[str] = "prompt.page"
    prompts: tuple[Prompt, ...]
    next: str | None = None
    """The cursor of the following page; absent on the last."""


class PromptShown(Message):
    """One prompt as it is now."""

    TYPE: ClassVar[str] = "PROMPT_SHOWN"
    ROUTING_KEY: ClassVar[str] = "prompt.shown"
    prompt: Prompt
    is_replay: bool = False


class PromptRemoved(Message):
    """The prompt is gone. Jobs that were made from it keep their copy."""

    TYPE: ClassVar[str] = "PROMPT_REMOVED"
    ROUTING_KEY: ClassVar[str] = "prompt.removed"


class Request(Message):
    """What the prompt service can be asked."""

    REPLY: ClassVar[type[Message]]


class DescribePrompts(Request):
    """Who answers prompt requests, and from what?"""

    TYPE: ClassVar[str] = "DESCRIBE_PROMPTS"
    ROUTING_KEY: ClassVar[str] = "prompt.describe"
    REPLY: ClassVar[type[Message]] = PromptsDescribed


class EnhancePrompt(Request):
    """Propose a final prompt for an intent and a rough prompt, within the budget. Nothing is kept."""

    TYPE: ClassVar[str] = "ENHANCE_PROMPT"
    ROUTING_KEY: ClassVar[str] = "prompt.enhance"
    REPLY: ClassVar[type[Message]] = PromptEnhanced
    intent: str
    prompt: str
    budget_seconds: float = Field(gt=0)


class ProposeSubjects(Request):
    """Propose subjects for pictures on a topic, knowing the turns before; the turn is kept."""

    TYPE: ClassVar[str] = "PROPOSE_SUBJECTS"
    ROUTING_KEY: ClassVar[str] = "prompt.subjects.propose"
    REPLY: ClassVar[type[Message]] = SubjectsProposed
    caller: Caller
    call: PaidCall
    topic: str
    count: int = Field(ge=1, le=MAX_SUBJECTS)
    budget_seconds: float = Field(gt=0)


class ReadSubjectsHistory(Request):
    """Read the chat, newest turn first."""

    TYPE: ClassVar[str] = "READ_SUBJECTS_HISTORY"
    ROUTING_KEY: ClassVar[str] = "prompt.subjects.read"
    REPLY: ClassVar[type[Message]] = SubjectsHistory
    caller: Caller
    after: str | None = None
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


class ForgetSubjects(Request):
    """Remove all turns of the caller's own chat."""

    TYPE: ClassVar[str] = "FORGET_SUBJECTS"
    ROUTING_KEY: ClassVar[str] = "prompt.subjects.forget"
    REPLY: ClassVar[type[Message]] = SubjectsForgotten
    caller: Caller


class WritePrompts(Request):
    """Write prompts for chosen subjects, and keep them."""

    TYPE: ClassVar[str] = "WRITE_PROMPTS"
    ROUTING_KEY: ClassVar[str] = "prompt.write"
    REPLY: ClassVar[type[Message]] = PromptsWritten
    caller: Caller
    call: PaidCall
    subjects: tuple[str, ...] = Field(min_length=1, max_length=MAX_PROMPTS)
    per_subject: int = Field(default=1, ge=1, le=MAX_PROMPTS)
    style: str = ""
    budget_seconds: float = Field(gt=0)


class ListPrompts(Request):
    """List the prompts, newest first, perhaps those of one status."""

    TYPE: ClassVar[str] = "LIST_PROMPTS"
    ROUTING_KEY: ClassVar[str] = "prompt.list"
    REPLY: ClassVar[type[Message]] = PromptPage
    caller: Caller
    status: str | None = None
    after: str | None = None
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


class GetPrompt(Request):
    """Read one prompt."""

    TYPE: ClassVar[str] = "GET_PROMPT"
    ROUTING_KEY: ClassVar[str] = "prompt.get"
    REPLY: ClassVar[type[Message]] = PromptShown
    caller: Caller
    prompt_id: str


class ChangePrompt(Request):
    """Change what is given, if the prompt still has the version that is given."""

    TYPE: ClassVar[str] = "CHANGE_PROMPT"
    ROUTING_KEY: ClassVar[str] = "prompt.change"
    REPLY: ClassVar[type[Message]] = PromptShown
    caller: Caller
    prompt_id: str
    if_version: int | None = None
    title: str | None = None
    text: str | None = None
    status: str | None = None


class RetitlePrompt(Request):
    """Have a different title written for the prompt."""

    TYPE: ClassVar[str] = "RETITLE_PROMPT"
    ROUTING_KEY: ClassVar[str] = "prompt.retitle"
    REPLY: ClassVar[type[Message]] = PromptShown
    caller: Caller
    call: PaidCall
    prompt_id: str
    if_version: int | None = None
    budget_seconds: float = Field(gt=0)


class RemovePrompt(Request):
    """Remove the prompt, if it still has the version that is given."""

    TYPE: ClassVar[str] = "REMOVE_PROMPT"
    ROUTING_KEY: ClassVar[str] = "prompt.remove"
    REPLY: ClassVar[type[Message]] = PromptRemoved
    caller: Caller
    prompt_id: str
    if_version: int | None = None


REQUESTS: Final[tuple[type[Request], ...]] = (
    DescribePrompts,
    EnhancePrompt,
    ProposeSubjects,
    ReadSubjectsHistory,
    ForgetSubjects,
    WritePrompts,
    ListPrompts,
    GetPrompt,
    ChangePrompt,
    RetitlePrompt,
    RemovePrompt,
)
REPLIES: Final[tuple[type[Message], ...]] = (*dict.fromkeys(request.REPLY for request in REQUESTS), RequestRefused)
RPC: Final[tuple[type[Message], ...]] = (*REQUESTS, *REPLIES)
