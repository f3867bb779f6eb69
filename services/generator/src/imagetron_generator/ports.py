"""What rendering needs from outside, and what may go wrong there. The errors' texts never hold a prompt."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from imagetron_chassis.errors import (
    Permanent,
    QuotaExceeded,
    RateLimited,
    ResourceExhausted,
    Transient,
    UnknownOutcome,
)
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.message import Message
from imagetron_generator.domain.orders import TaskNews, TaskOrder, TaskRules
from imagetron_generator.domain.paid_calls import PaidCall
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture

OnStep = Callable[[int, int], None]
"""Called with the step that the model finished and how many there are."""

Announce = Callable[[Message], Awaitable[None]]
"""Says something while the work goes on. Raises Transient or UnknownOutcome when it could not leave for certain."""

Timer = Callable[[], float]
"""Seconds on a clock that never jumps."""

Fetch = Callable[[str], Awaitable[bytes]]
"""The bytes behind a provider's URL. Raises Transient, UnknownOutcome or RateLimited where another try may help, else Permanent;
the sentence never holds the URL."""

CallbackUrl = Callable[[str, str], str]
"""Where a provider (the first word) may call back about a task (its reference, the second). Holds a token."""


class ModelUnavailable(Transient):
    """The model cannot be called now: not reachable, not loaded, shutting down."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ModelTimedOut(UnknownOutcome):
    """The model did not answer in its time."""

    failure_code = FailureCode.DEADLINE_EXCEEDED


class ModelFailed(UnknownOutcome):
    """The model began and broke, or answered with something that is no picture."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ModelRefused(Permanent):
    """The model will never make this picture: it does not take these parameters."""

    failure_code = FailureCode.MODEL_REFUSED


class ModelOutOfMemory(ResourceExhausted):
    """The picture is too big for the device as it is now."""


class QueueFull(RateLimited):
    """The model has as much waiting work as it takes."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ModelPaused(RateLimited):
    """The model's server is given time to become well: it was not called for this."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ContentFiltered(Permanent):
    """The provider or a classifier withholds this picture. Nothing is charged for it, and asking again does not help."""

    failure_code = FailureCode.CONTENT_FILTERED


class ProviderBusy(RateLimited):
    """The provider asks us to slow down."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ProviderQuotaSpent(QuotaExceeded):
    """Our account at the provider is spent or blocked: an operator must act."""

    failure_code = FailureCode.QUOTA_EXCEEDED


class ProviderMisconfigured(Permanent):
    """The provider does not take our credentials, or there is no such address: an operator must act."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class CallbackUnreadable(Permanent):
    """A callback's body is not what this provider sends. The sentence quotes nothing of it."""


class ImageModel(Protocol):
    """Makes pictures. Equal requests give equal pictures within one fingerprint, where the provider takes seeds."""

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        """The picture, with `on_step` called on the way.

        Cancelling the call stops the model at its next step. Raises ModelUnavailable, ModelTimedOut, ModelFailed,
        ModelRefused, ModelOutOfMemory, QueueFull or ModelPaused; of outside providers also ContentFiltered,
        ProviderBusy, ProviderQuotaSpent, ProviderMisconfigured.
        """
        ...

    async def close(self) -> None: ...


class TaskProvider(Protocol):
    """Makes pictures in its own time: takes a task, and tells later how it went, when asked or by calling back.

    All methods raise ModelUnavailable (nothing happened), ModelTimedOut (it may have happened), ModelFailed (an answer that
    cannot be understood), ProviderBusy, ProviderQuotaSpent, ProviderMisconfigured.
    """

    @property
    def name(self) -> str: ...

    @property
    def rules(self) -> TaskRules: ...

    async def submit(self, order: TaskOrder) -> TaskNews:
        """Hand in the task; the news has the provider's id. Costs money. Raises also ModelRefused, ContentFiltered."""
        ...

    async def look(self, provider_task_id: str) -> TaskNews:
        """How it stands. FAILED with WORK_LOST for a task that the provider does not know (any more)."""
        ...

    async def find(self, reference: str) -> TaskNews | None:
        """The task that was handed in under this reference, if it was. Only where `rules.can_find`."""
        ...

    async def cancel(self, provider_task_id: str) -> None:
        """Ask to stop it, as far as the provider can; quiet if it has ended or cannot be stopped."""
        ...

    def read_callback(self, body: bytes) -> TaskNews:
        """What a callback's body says. Raises CallbackUnreadable. Not to be believed unless it was signed."""
        ...

    async def close(self) -> None: ...


class Pictures(Protocol):
    """Reads other people's pictures, which may be anything. Raises Permanent with a code for what it does not take."""

    async def read(self, data: bytes) -> SourcePicture:
        """Its pixels."""
        ...

    async def as_png(self, data: bytes) -> bytes:
        """The same picture as a PNG, which every provider takes."""
        ...


class TaskIdTaken(Permanent):
    """The provider's id belongs to another of our tasks already."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ProviderTasks(Protocol):
    """Our tasks at other people's servers. Ended ones are kept: later work may go on from their pictures.

    All methods raise Transient while the store is away.
    """

    async def add(self, task: ProviderTask) -> bool:
        """Keep a new one; False if its reference is known."""
        ...

    async def get(self, reference: str) -> ProviderTask | None: ...

    async def replace(self, task: ProviderTask, *, if_version: int) -> bool:
        """Keep it unless somebody else has changed it since; say whether that happened. Raises TaskIdTaken."""
        ...

    async def due(self, provider: str, now: datetime, *, limit: int) -> Sequence[ProviderTask]:
        """Those that somebody has to look after by now, the longest overdue first."""
        ...

    async def of_job(self, job_id: str, revision: int, family: str | None = None) -> Sequence[ProviderTask]:
        """Those of a job's revision, or of one family in it, in all attempts and of all providers."""
        ...


class PaidCalls(Protocol):
    """The books of paid calls. All methods raise Transient while the store is away."""

    async def add(self, call: PaidCall) -> bool:
        """Keep a new one; False if its id is known."""
        ...

    async def get(self, call_id: str) -> PaidCall | None: ...

    async def replace(self, call: PaidCall, *, if_version: int) -> bool:
        """Keep it unless somebody else has changed it since; say whether that happened."""
        ...
