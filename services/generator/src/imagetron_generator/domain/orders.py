"""What is ordered from a provider that answers later, and what it says about it. No transport and no decision."""

from dataclasses import dataclass, field
from enum import StrEnum

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb


@dataclass(frozen=True, slots=True)
class ParentTask:
    """A finished task of the same provider that this one goes on from, and which of its pictures."""

    provider_task_id: str
    index: int


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """One task: `images` pictures of one prompt, the first of them with `seed`. The prompts show in no log and no error."""

    reference: str
    """Ours: stable for the same work, told to the provider where it keeps such a word."""
    verb: Verb
    prompt: str = field(repr=False)
    negative_prompt: str = field(repr=False)
    seed: int
    size: Dimensions
    images: int
    model: str
    callback_url: str | None = field(default=None, repr=False)
    """Where the provider may tell how it goes; holds a token, hence a secret."""
    source: bytes | None = field(default=None, repr=False)
    """A PNG to begin with."""
    strength: float = 1.0
    parent: ParentTask | None = None


class TaskPhase(StrEnum):
    """How far the provider is, in its own account."""

    WAITING = "waiting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in {TaskPhase.SUCCEEDED, TaskPhase.FAILED, TaskPhase.CANCELLED}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One picture of a finished task: where to fetch it, or its bytes, or why there is none."""

    position: int
    """Among the pictures of the task, from 0."""
    url: str | None = field(default=None, repr=False)
    """May hold a token of the provider."""
    data: bytes | None = field(default=None, repr=False)
    code: FailureCode | None = None
    message: str | None = None
    """A sentence of ours: a provider's own words may quote the prompt."""


@dataclass(frozen=True, slots=True)
class TaskNews:
    """What a provider says of one task: the answer to a submission, to a look, or a callback."""

    phase: TaskPhase
    provider_task_id: str | None = None
    progress: float | None = None
    """0 to 1, as far as the provider tells."""
    deliveries: tuple[Delivery, ...] = ()
    code: FailureCode | None = None
    """Why it failed."""
    message: str | None = None
    answer_digest: str | None = None
    """sha256 in hex of the provider's answer, as it came."""
    look_again_seconds: float | None = None
    """How long the provider asks us to wait before the next look."""


@dataclass(frozen=True, slots=True)
class TaskRules:
    """What a provider can do, and how patient one must be with it."""

    images_per_task: int = 1
    verbs: frozenset[Verb] = frozenset({Verb.IMAGINE, Verb.REROLL})
    calls_back: bool = False
    can_find: bool = False
    """It can be asked for a task by our reference: a submission whose answer was lost is found again, not paid for twice."""
    first_look_seconds: float = 1.0
    longest_pause_seconds: float = 15.0
    """Between two looks: they start at `first_look_seconds` and grow by half each time up to this."""
    callback_window_seconds: float = 60.0
    """How long a submission whose answer was lost may still show itself by a callback, before it is made again."""
    max_submissions: int = 2
    """Paid calls for one task, lost answers included."""
