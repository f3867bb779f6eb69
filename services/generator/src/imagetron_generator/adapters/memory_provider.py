"""A task provider without a server: it finishes after as many looks as it is told, or when a test says so.

Nothing is repeatable by itself, as with real ones: two submissions under one reference are two tasks, both paid for.
"""

import asyncio
import hashlib
import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.domain.orders import Delivery, TaskNews, TaskOrder, TaskPhase, TaskRules
from imagetron_generator.ports import CallbackUnreadable, ModelRefused

_ALL_VERBS: Final = TaskRules(verbs=frozenset(Verb))


@dataclass(frozen=True, slots=True)
class Lost:
    """A submission that the provider accepts, and is paid for, but whose answer never arrives: `error` is raised instead."""

    error: ChassisError


class InMemoryTaskProvider:
    """`submissions` are the orders that were accepted, in order: what the provider would charge for.

    A task is WAITING, then PROCESSING, and SUCCEEDED at its `looks`-th look; with `looks=None` it stays WAITING until
    `tell`, `finish` or `fail`. The lists `next_submits`, `next_looks`, `next_finds` and `next_cancels` say what happens to
    the next calls, first things first: an error to raise, a TaskNews to answer with (to looks), a Lost (to submissions),
    or None for a good answer; after them, good answers.
    """

    def __init__(self, name: str = "memory", rules: TaskRules = _ALL_VERBS, *, looks: int | None = 2) -> None:
        self._name = name
        self._rules = rules
        self._looks = looks
        self.submissions: list[TaskOrder] = []
        self.tasks: dict[str, TaskNews] = {}
        """What each task would say now, by the provider's id."""
        self.looked: list[str] = []
        self.cancelled: list[str] = []
        """The ids that were asked to be stopped, whether they could be or not."""
        self.closed = False
        self.next_submits: list[ChassisError | Lost | None] = []
        self.next_looks: list[ChassisError | TaskNews | None] = []
        self.next_finds: list[ChassisError | None] = []
        self.next_cancels: list[ChassisError | None] = []
        self._orders: dict[str, TaskOrder] = {}
        self._answering = asyncio.Event()
        self._answering.set()

    @property
    def name(self) -> str:
        return self._name

    @property
    def rules(self) -> TaskRules:
        return self._rules

    # What a test does.

    def hold_answers(self) -> None:
        """Submissions are accepted, but their answers wait until `release_answers`."""
        self._answering.clear()

    def release_answers(self) -> None:
        self._answering.set()

    def submissions_of(self, reference: str) -> list[TaskOrder]:
        return [order for order in self.submissions if order.reference == reference]

    def ids_of(self, reference: str) -> list[str]:
        """The provider's ids of all tasks under a reference, the oldest first."""
        return [task for task, order in self._orders.items() if order.reference == reference]

    def tell(self, provider_task_id: str, news: TaskNews) -> bytes:
        """From now on the task says this; a callback's body that says it too."""
        self.tasks[provider_task_id] = replace(news, provider_task_id=provider_task_id)
        return self.callback_body(provider_task_id)

    def process(self, provider_task_id: str, progress: float) -> bytes:
        return self.tell(provider_task_id, TaskNews(TaskPhase.PROCESSING, progress=progress))

    def finish(self, provider_task_id: str, deliveries: Iterable[Delivery] | None = None) -> bytes:
        """It succeeds with these, or else with as many pictures as the provider's rules say."""
        made = _pictures(self._orders[provider_task_id], self._rules) if deliveries is None else tuple(deliveries)
        return self.tell(provider_task_id, TaskNews(TaskPhase.SUCCEEDED, progress=1.0, deliveries=made))

    def fail(self, provider_task_id: str, code: FailureCode = FailureCode.MODEL_UNAVAILABLE) -> bytes:
        said = f"the provider {self._name} says that the task failed"
        return self.tell(provider_task_id, TaskNews(TaskPhase.FAILED, code=code, message=said))

    def forget(self, provider_task_id: str) -> None:
        """It was paid for, and the provider knows it no more."""
        del self.tasks[provider_task_id], self._orders[provider_task_id]

    def callback_body(self, provider_task_id: str) -> bytes:
        return _written(self.tasks[provider_task_id])

    # The port.

    async def submit(self, order: TaskOrder) -> TaskNews:
        outcome = self.next_submits.pop(0) if self.next_submits else None
        if isinstance(outcome, ChassisError):
            raise outcome
        if order.verb not in self._rules.verbs or order.images > self._rules.images_per_task:
            raise ModelRefused(f"the provider {self._name} cannot {order.verb} {order.images} pictures in one task")
        task = f"task-{len(self.submissions) + 1}"
        self.submissions.append(order)
        self._orders[task] = order
        self.tasks[task] = TaskNews(TaskPhase.WAITING, task)
        accepted = _signed(self.tasks[task])
        await self._answering.wait()
        if isinstance(outcome, Lost):
            raise outcome.error
        return accepted

    async def look(self, provider_task_id: str) -> TaskNews:
        self.looked.append(provider_task_id)
        outcome = self.next_looks.pop(0) if self.next_looks else None
        if isinstance(outcome, ChassisError):
            raise outcome
        if outcome is not None:
            return replace(outcome, provider_task_id=provider_task_id)
        known = self.tasks.get(provider_task_id)
        if known is None:
            said = f"the provider {self._name} does not know the task any more"
            return TaskNews(TaskPhase.FAILED, provider_task_id, code=FailureCode.WORK_LOST, message=said)
        if self._looks is not None and not known.phase.is_terminal:
            self._move_on(provider_task_id, self._looks)
        return _signed(self.tasks[provider_task_id])

    async def find(self, reference: str) -> TaskNews | None:
        outcome = self.next_finds.pop(0) if self.next_finds else None
        if outcome is not None:
            raise outcome
        known = self.ids_of(reference)
        return _signed(self.tasks[known[0]]) if known else None

    async def cancel(self, provider_task_id: str) -> None:
        self.cancelled.append(provider_task_id)
        outcome = self.next_cancels.pop(0) if self.next_cancels else None
        if outcome is not None:
            raise outcome
        known = self.tasks.get(provider_task_id)
        if known is not None and not known.phase.is_terminal:
            self.tell(provider_task_id, TaskNews(TaskPhase.CANCELLED, code=FailureCode.CANCELLED))

    def read_callback(self, body: bytes) -> TaskNews:
        try:
            return replace(_read(json.loads(body)), answer_digest=hashlib.sha256(body).hexdigest())
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise CallbackUnreadable(f"the callback is not what the provider {self._name} sends")

    async def close(self) -> None:
        self.closed = True
        self._answering.set()

    def _move_on(self, provider_task_id: str, looks: int) -> None:
        so_far = self.looked.count(provider_task_id)
        if so_far >= looks:
            self.finish(provider_task_id)
        else:
            self.process(provider_task_id, so_far / looks)


def _signed(news: TaskNews) -> TaskNews:
    return replace(news, answer_digest=hashlib.sha256(_written(news)).hexdigest())


def _pictures(order: TaskOrder, rules: TaskRules) -> tuple[Delivery, ...]:
    """Upscaling goes on from one picture, hence makes one."""
    count = 1 if order.verb is Verb.UPSCALE else rules.images_per_task
    return tuple(Delivery(position, data=_png(order, position)) for position in range(count))


def _png(order: TaskOrder, position: int) -> bytes:
    """One colour, which follows from the prompt, the seed and the position."""
    digest = hashlib.sha256(repr((order.prompt, order.seed, position)).encode()).digest()
    return png(order.size, (digest[0], digest[1], digest[2]))


def png(size: Dimensions, colour: tuple[int, int, int]) -> bytes:
    """A PNG of one colour, 8 bits a channel (ISO/IEC 15948, sections 5 and 11)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", size.width, size.height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * size.width) * size.height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def _written(news: TaskNews) -> bytes:
    deliveries = [
        {
            "position": delivery.position,
            "url": delivery.url,
            "data": b64encode(delivery.data).decode() if delivery.data is not None else None,
            "code": delivery.code,
            "message": delivery.message,
        }
        for delivery in news.deliveries
    ]
    return json.dumps(
        {
            "task": news.provider_task_id,
            "phase": news.phase,
            "progress": news.progress,
            "deliveries": deliveries,
            "code": news.code,
            "message": news.message,
        }
    ).encode()


def _read(said: dict[str, Any]) -> TaskNews:
    return TaskNews(
        TaskPhase(said["phase"]),
        said["task"],
        said["progress"],
        tuple(
            Delivery(
                one["position"],
                one["url"],
                b64decode(one["data"]) if one["data"] is not None else None,
                FailureCode(one["code"]) if one["code"] is not None else None,
                one["message"],
            )
            for one in said["deliveries"]
        ),
        FailureCode(said["code"]) if said["code"] is not None else None,
        said["message"],
    )
