"""Exchanges, queues and retry delays as plain data, in one table. No broker is imported here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from imagetron_contracts.events import EVENTS
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import (
    REQUESTS,
    RPC,
    DescribePrompts,
    EnhancePrompt,
    ProposeSubjects,
    Request,
    RetitlePrompt,
    WritePrompts,
)
from imagetron_contracts.stages import (
    HINTS,
    STAGE_MESSAGES,
    DerivativesRendered,
    DerivativesRequested,
    FamilyPublished,
    FamilyRequested,
    FamilyStarted,
    JobCancelled,
    JobChanged,
    Lane,
    ModelHealth,
    ObjectsDiscarded,
    Pool,
    Progress,
    ProviderCallback,
    RendersGenerated,
    StageFailed,
)


class Exchange(StrEnum):
    """All are durable. Only `EVENTS` is for everybody."""

    EVENTS = "imagetron.events"
    """Topic. Public events; nobody listening is normal."""
    STAGES = "imagetron.stages"
    """Topic. Private work; publishes are mandatory, and there is no alternate exchange, which would hide a return."""
    HINTS = "imagetron.hints"
    """Topic. Transient; nothing may depend on a hint."""
    PROMPTS = "imagetron.prompts"
    """Direct. Requests to the prompt service."""
    DEAD = "imagetron.dead"
    """Direct. Routes a dead letter to its queue's own dead-letter queue."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, named and owned by its consumer. Every stage queue has a dead-letter queue of its own."""

    consumer: str
    message: type[Message]
    routing_key: str
    lane: Lane | None = None
    exchange: Exchange = Exchange.STAGES
    pool: Pool = Pool.GPU

    @property
    def name(self) -> str:
        """<service>.<message>[.<lane or pool>]"""
        name = f"{self.consumer}.{self.message.TYPE.lower().replace('_', '-')}"
        if self.pool is not Pool.GPU:
            return f"{name}.{self.pool.value}"
        return f"{name}.{self.lane.value}" if self.lane else name

    @property
    def dead_letters(self) -> str:
        return f"{self.name}.dead"


@dataclass(frozen=True, slots=True)
class HintQueue:
    """What one process hears of the hints while it runs: exclusive, unnamed, gone with its connection."""

    message: type[Message]

    @property
    def routing_key(self) -> str:
        return self.message.ROUTING_KEY


@dataclass(frozen=True, slots=True)
class RpcQueue:
    """Requests wait here as long as a caller waits; no dead letters, so that a dead call is never paid for later."""

    message: type[Request]
    time_to_live_seconds: float
    concurrency: int = 20
    """How many requests one process has in hand at once."""
    is_paid: bool = False
    """Answering costs money: a request whose server died is refused, not answered by the next server."""

    @property
    def name(self) -> str:
        return self.message.ROUTING_KEY


def _work(consumer: str, message: type[Message]) -> Queue:
    return Queue(consumer, message, message.ROUTING_KEY)


def _requests(lane: Lane) -> Queue:
    return Queue("generator", FamilyRequested, f"{FamilyRequested.ROUTING_KEY}.{lane.value}", lane)


GENERATOR_INTERACTIVE: Final = _requests(Lane.INTERACTIVE)
GENERATOR_BATCH: Final = _requests(Lane.BATCH)
GENERATOR_EXTERNAL: Final = Queue(
    "generator", FamilyRequested, f"{FamilyRequested.ROUTING_KEY}.{Pool.EXTERNAL.value}", pool=Pool.EXTERNAL
)
GENERATOR_CALLBACKS: Final = _work("generator", ProviderCallback)
DERIVER_RENDERS: Final = _work("deriver", RendersGenerated)
DERIVER_REQUESTS: Final = _work("deriver", DerivativesRequested)
PUBLISHER_DERIVATIVES: Final = _work("publisher", DerivativesRendered)
PUBLISHER_DISCARDS: Final = _work("publisher", ObjectsDiscarded)
GATEWAY_STARTED: Final = _work("gateway", FamilyStarted)
GATEWAY_RENDERS: Final = _work("gateway", RendersGenerated)
GATEWAY_DERIVATIVES: Final = _work("gateway", DerivativesRendered)
GATEWAY_PUBLISHED: Final = _work("gateway", FamilyPublished)
GATEWAY_FAILED: Final = _work("gateway", StageFailed)

QUEUES: Final = (
    GENERATOR_INTERACTIVE,
    GENERATOR_BATCH,
    GENERATOR_EXTERNAL,
    GENERATOR_CALLBACKS,
    DERIVER_RENDERS,
    DERIVER_REQUESTS,
    PUBLISHER_DERIVATIVES,
    PUBLISHER_DISCARDS,
    GATEWAY_STARTED,
    GATEWAY_RENDERS,
    GATEWAY_DERIVATIVES,
    GATEWAY_PUBLISHED,
    GATEWAY_FAILED,
)

HINTS_PROGRESS: Final = HintQueue(Progress)
HINTS_JOB_CHANGED: Final = HintQueue(JobChanged)
HINTS_JOB_CANCELLED: Final = HintQueue(JobCancelled)
HINTS_MODEL_HEALTH: Final = HintQueue(ModelHealth)

_PAID: Final[frozenset[type[Request]]] = frozenset({EnhancePrompt, ProposeSubjects, WritePrompts, RetitlePrompt})


def _requests_to(message: type[Request]) -> RpcQueue:
    # The model has 1.5 s of a caller's 1.8: what has waited longer would be paid for and come too late.
    if message is EnhancePrompt:
        return RpcQueue(message, time_to_live_seconds=0.25, concurrency=64, is_paid=True)
    return RpcQueue(message, time_to_live_seconds=5, is_paid=message in _PAID)


RPC_QUEUES: Final = tuple(_requests_to(message) for message in REQUESTS)
_RPC_QUEUE_OF: Final = {queue.message: queue for queue in RPC_QUEUES}
PROMPT_DESCRIBE: Final = _RPC_QUEUE_OF[DescribePrompts]

_EXCHANGE_OF: Final[dict[type[Message], Exchange]] = {
    **dict.fromkeys(EVENTS, Exchange.EVENTS),
    **dict.fromkeys(STAGE_MESSAGES, Exchange.STAGES),
    **dict.fromkeys(HINTS, Exchange.HINTS),
    **dict.fromkeys(RPC, Exchange.PROMPTS),
}


def rpc_queue_of(request: type[Request]) -> RpcQueue:
    """Where requests of this type wait for the prompt service."""
    return _RPC_QUEUE_OF[request]


def exchange_of(message: type[Message]) -> Exchange:
    """Where messages of this type are published."""
    return _EXCHANGE_OF[message]


def routing_keys(message: type[Message]) -> tuple[str, ...]:
    """Every routing key that messages of this type may carry: one, or one for each lane."""
    keys = dict.fromkeys(queue.routing_key for queue in QUEUES if queue.message is message)
    return tuple(keys) or (message.ROUTING_KEY,)


DELIVERY_LIMIT: Final = 5
"""The broker's last net against a message that kills its worker; our own tries are counted in the envelope."""

RETRY_DELAYS_SECONDS: Final = (5, 30, 120, 600)
"""One delay queue each: a TTL per message would let a long delay block the short ones behind it."""


def delay_queue(seconds: int) -> str:
    """The name of the delay queue, and of the fanout exchange in front of it that keeps the routing key untouched.

    A message waits there under the routing key of its work queue's name, and expires to the default exchange: home.
    """
    minutes, rest = divmod(seconds, 60)
    return f"imagetron.delay.{minutes}m" if minutes and not rest else f"imagetron.delay.{seconds}s"
