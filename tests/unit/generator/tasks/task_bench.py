"""A bench with the tasks' use cases on twins. A `TaskDesk` is one worker's: a new one is a new process."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.errors import ChassisError, Permanent
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Message
from imagetron_contracts.spec import RenderSpec, Verb, callback_key, cancelled_key, spec_key
from imagetron_contracts.stages import (
    FamilyRequested,
    Pool,
    Progress,
    ProviderCallback,
    RendersGenerated,
    StageFailed,
)
from imagetron_generator.adapters.memory_provider import InMemoryTaskProvider
from imagetron_generator.adapters.provider_tasks import DocumentProviderTasks
from imagetron_generator.domain.orders import TaskRules
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.domain.renders import SourcePicture
from imagetron_generator.usecases.tasks.attending import sweep
from imagetron_generator.usecases.tasks.callbacks import take_callback
from imagetron_generator.usecases.tasks.desk import TaskDesk
from imagetron_generator.usecases.tasks.ordering import order_family
from imagetron_generator.usecases.tasks.watch import Watch
from unit.generator.bench import JOB, a_request, a_spec

PROVIDER = "memory"
CALLBACK_URL = "https://gateway.example.com/webhooks/providers/memory/CANARY-token"
FOUR_AT_ONCE = TaskRules(images_per_task=4, verbs=frozenset(Verb))
CALLED_BACK = replace(FOUR_AT_ONCE, calls_back=True, first_look_seconds=15, longest_pause_seconds=120)
FINDS = replace(FOUR_AT_ONCE, can_find=True)

M = TypeVar("M", bound=Message)


class PictureUnreadable(Permanent):
    failure_code = FailureCode.RENDER_UNREADABLE


class PillowPictures:
    async def read(self, data: bytes) -> SourcePicture:
        try:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
        except UnidentifiedImageError:
            raise PictureUnreadable("this is no picture") from None
        return SourcePicture(picture.tobytes(), Dimensions(width=picture.width, height=picture.height))

    async def as_png(self, data: bytes) -> bytes:
        out = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("RGB").save(out, "PNG")
        return out.getvalue()


def an_external_request(*indexes: int, **changes: Any) -> FamilyRequested:
    return a_request(*indexes, pool=Pool.EXTERNAL, **changes)


def a_task_spec(**changes: Any) -> RenderSpec:
    return a_spec(**{"provider": PROVIDER, "served_by": "mj-7", "model": "midjourney", **changes})


@dataclass
class TaskBench:
    """`passes` moves every worker's clock; nothing happens by itself."""

    rules: TaskRules = FOUR_AT_ONCE
    looks: int | None = 2
    work: Any = field(default_factory=InMemoryBlobs)
    clock: FakeClock = field(default_factory=FakeClock)
    seconds: float = 0.0
    said: list[Message] = field(default_factory=list)
    announce_errors: list[ChassisError] = field(default_factory=list)
    pages: dict[str, bytes | list[ChassisError | bytes]] = field(default_factory=dict)
    """What lies behind URLs: bytes, or what the next calls find."""
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.provider: Any = InMemoryTaskProvider(PROVIDER, self.rules, looks=self.looks)
        self.documents = InMemoryDocuments()
        self.tasks: Any = DocumentProviderTasks(self.documents)
        self.worker = self.desk("first")

    def desk(self, owner: str, *, ahead_seconds: float = 0) -> TaskDesk:
        """A worker of its own, whose clock may be ahead of everybody's."""
        clock = self.clock if not ahead_seconds else _Ahead(self.clock, ahead_seconds)
        return TaskDesk(
            providers={PROVIDER: self.provider},
            tasks=self.tasks,
            work=self.work,
            announce=self.announce,
            fetch=self.fetch,
            pictures=PillowPictures(),
            callback_url=lambda provider, reference: f"{CALLBACK_URL}/{provider}/{reference}",
            clock=clock,
            watch=Watch(lambda: self.seconds),
            owner=owner,
        )

    def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.seconds += seconds

    async def announce(self, message: Message) -> None:
        if self.announce_errors:
            raise self.announce_errors.pop(0)
        self.said.append(message)

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        page = self.pages[url]
        found = page.pop(0) if isinstance(page, list) else page
        if isinstance(found, ChassisError):
            raise found
        return found

    async def has_spec(self, spec: RenderSpec | None = None) -> None:
        spec = spec or a_task_spec()
        text = spec.model_dump_json(by_alias=True).encode()
        await self.work.put_if_absent(spec_key(spec.job_id, spec.revision), text, content_type="application/json")

    async def is_cancelled(self) -> None:
        await self.work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")

    async def ask(self, *indexes: int, desk: TaskDesk | None = None, **changes: Any) -> Sequence[Message]:
        return await order_family(an_external_request(*indexes, **changes), desk=desk or self.worker)

    async def sweep(self, desk: TaskDesk | None = None) -> int:
        return await sweep(PROVIDER, desk=desk or self.worker)

    async def live(self, seconds: float, desk: TaskDesk | None = None, *, step_seconds: float = 1.0) -> None:
        """A worker that sweeps every second for so long."""
        until = self.seconds + seconds
        while self.seconds < until:
            self.passes(step_seconds)
            await self.sweep(desk)

    async def calls_back(
        self, body: bytes, *, signed: bool | None = True, reference: str | None = None, **changes: Any
    ) -> None:
        reference = reference or (await self.task()).reference
        inbox_id = changes.pop("inbox_id", f"inbox-{len(body)}-{hash(body) % 10**9}")
        await self.work.put_if_absent(callback_key(PROVIDER, inbox_id), body, content_type="application/json")
        values = {"provider": PROVIDER, "inbox_id": inbox_id, "task_reference": reference, "is_signed": signed}
        callback = ProviderCallback.model_validate({**values, **changes})
        await take_callback(callback, desk=self.worker)

    async def all_tasks(self) -> list[ProviderTask]:
        found = await self.tasks.of_job(JOB, 1)
        return sorted(found, key=lambda task: (task.request.attempt, task.request.image_indexes))

    async def task(self) -> ProviderTask:
        (task,) = await self.all_tasks()
        return task

    def heard(self, kind: type[M]) -> list[M]:
        return [message for message in self.said if isinstance(message, kind)]

    def results(self) -> dict[str, Message]:
        """The ends that were told, a repeat counted once."""
        ends = [message for message in self.said if isinstance(message, RendersGenerated | StageFailed)]
        return {message.message_id(): message for message in ends}

    def steps(self) -> list[int]:
        return [hint.step for hint in self.heard(Progress) if hint.index == 0]


class _Ahead(FakeClock):
    def __init__(self, other: FakeClock, seconds: float) -> None:
        super().__init__()
        self._other, self._seconds = other, seconds

    def now(self):
        shown = FakeClock(self._other.now())
        shown.advance(self._seconds)
        return shown.now()
