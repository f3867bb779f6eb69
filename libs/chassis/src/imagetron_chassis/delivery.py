"""The one consumer wrapper: decode, trace, handle, publish the facts, answer the broker. Decisions are verdicts.py's.

Handlers return facts; the wrapper publishes them and acks afterwards, so a crash at any line means a repeat, never a loss.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, RabbitExchange, RabbitMessage
from faststream.rabbit.subscriber import RabbitSubscriber
from opentelemetry import metrics, trace
from structlog.contextvars import bound_contextvars

from imagetron_chassis import semconv
from imagetron_chassis.broker import RECONNECT_SECONDS, Broker, work_queue
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError, Transient, UnknownOutcome
from imagetron_chassis.faults import fault_point
from imagetron_chassis.intake import Intake, stop_consuming
from imagetron_chassis.logs import log
from imagetron_chassis.publishing import Outgoing, Publisher, outgoing
from imagetron_chassis.retry_budget import RetryBudget
from imagetron_chassis.telemetry import context_of, traceparent
from imagetron_chassis.verdicts import IN_PLACE_PAUSES_SECONDS, DeadLetter, GiveUp, RetryLater, Verdict, decide
from imagetron_contracts.envelope import Envelope, UnreadableMessage, decode, with_try
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.message import Message
from imagetron_contracts.topology import Queue, delay_queue

# RabbitMQ closes a channel whose delivery is not answered within 30 minutes by default; ours end at a third of that.
HOLD_SECONDS: Final = 600.0
_HAND_BACK_PAUSE_SECONDS: Final = 1.0


class HeldTooLong(UnknownOutcome):
    """A delivery was not done in the time that it may be held."""

    failure_code = FailureCode.DEADLINE_EXCEEDED


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What a queue's failure fact is made of."""

    code: FailureCode
    message: str
    support_id: str
    """Finds the log lines of this failure."""


Handle = Callable[[Envelope], Awaitable[Sequence[Message]]]
FailureFacts = Callable[[Message, GivenUp], Sequence[Message]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One queue and its handler. `failure` says whom to tell when it gives up; None: nobody, so it does not give up.

    `concurrency` messages are taken at once. Leave it at 1 wherever a message can kill its worker: the broker blames
    every message that the worker held.
    """

    queue: Queue
    handle: Handle
    failure: FailureFacts | None = None
    concurrency: int = 1
    deadline_seconds: float = HOLD_SECONDS


class Facts:
    """Sends messages that a service says of its own accord, and those that a handler returned."""

    def __init__(self, publisher: Publisher, *, source: str, clock: Clock) -> None:
        self._publisher = publisher
        self._source = source
        self._clock = clock

    async def publish(self, *facts: Message, cause: Envelope | None = None) -> None:
        """Send each in turn, confirmed. Ids are the messages' own, so that a repeat is recognisable."""
        for fact in facts:
            await self._publisher.send(outgoing(self.wrap(fact, cause=cause)))

    async def send(self, message: Outgoing) -> None:
        """Send something already wrapped."""
        await self._publisher.send(message)

    def age_seconds(self, envelope: Envelope) -> float:
        """How long ago this was said first: a message keeps its time however often it is sent again."""
        return (self._clock.now() - envelope.time).total_seconds()

    def wrap(self, fact: Message, *, cause: Envelope | None = None) -> Envelope:
        """The envelope of a fact, in the current trace."""
        job_id = getattr(fact, "job_id", None) or (cause.correlationid if cause else None)
        envelope = Envelope.wrap(
            fact, message_id=fact.message_id(), source=self._source, time=self._clock.now(), job_id=job_id
        )
        return envelope.model_copy(update={"causationid": cause.id if cause else None, "traceparent": traceparent()})


class Consumer:
    """All subscriptions of one service. `start` consumes; `drain` stops taking, finishes or hands back what is in hand.

    One retry budget for all: a service's queues lead to the same dependency, and it is that one which must be spared.
    """

    def __init__(
        self,
        broker: Broker,
        facts: Facts,
        subscriptions: Sequence[Subscription],
        *,
        hand_back_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._broker = broker
        self._facts = facts
        self._hand_back_seconds = hand_back_seconds
        self._in_hand: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._queues = [subscription.queue.name for subscription in subscriptions]
        self._retries = RetryBudget()
        meter = metrics.get_meter(__name__)
        self._deliveries = meter.create_counter(*semconv.DELIVERIES)
        self._seconds = meter.create_histogram(*semconv.DELIVERY_SECONDS)
        self._subscribers = [self._subscribe(subscription) for subscription in subscriptions]
        self._intake = Intake(self._subscribers)
        broker.watch(self._queues)

    async def start(self) -> None:
        """Returns once the broker has made every consumer, however long it is away meanwhile."""
        while True:
            if await self._has_begun():
                break
            await asyncio.sleep(RECONNECT_SECONDS)
        await self._intake.start()

    async def _has_begun(self) -> bool:
        try:
            await self._broker.consuming.start()
        # aio-pika answers with RuntimeError while it has no connection.
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
            log().warning("consuming_not_begun", reason=str(error) or type(error).__name__)
            await asyncio.gather(*(stop_consuming(subscriber) for subscriber in self._subscribers))
            return False
        return True

    def pause(self) -> None:
        """Take nothing new until `resume`: messages stay in their queues, where other processes find them.

        What is in hand goes on. Deliberately without consumers, the service stays ready.
        """
        self._broker.watch(self._queues, are_consumed=False)
        self._intake.shut()

    def resume(self) -> None:
        """Consume again."""
        self._broker.watch(self._queues)
        self._intake.open()

    async def drain(self, grace_seconds: float) -> None:
        """Take nothing new; wait for what is in hand; what does not finish in time goes back to its queue, confirmed."""
        self._draining.set()
        await self._intake.stop()
        if not self._in_hand:
            return
        _, unfinished = await asyncio.wait(self._in_hand, timeout=grace_seconds)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=grace_seconds + 5)

    def _subscribe(self, subscription: Subscription) -> RabbitSubscriber:
        queue = subscription.queue
        subscriber = self._broker.consuming.subscriber(
            work_queue(queue),
            # Bound already by declare_topology. Named here too, because aio-pika makes a deleted queue again together
            # with its consumer, and without a binding it would stay empty for ever.
            exchange=RabbitExchange(queue.exchange.value, type=ExchangeType.TOPIC, durable=True),
            channel=Channel(prefetch_count=subscription.concurrency),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )

        async def on_message(message: RabbitMessage) -> None:
            # A task of its own: FastStream must not see the cancellation that a drain may send.
            task = asyncio.create_task(self._deliver_or_bury(subscription, message))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)
            await asyncio.wait([task])

        subscriber(on_message)
        return subscriber

    async def _deliver_or_bury(self, subscription: Subscription, message: RabbitMessage) -> None:
        try:
            await self._deliver(subscription, message)
        except Exception as error:  # noqa: BLE001 - a bug of ours, or of a queue's failure facts
            # Without an answer the message would hold its place in the prefetch window for ever.
            log().error("delivery_broke", queue=subscription.queue.name, exc_info=error)
            await self._answer(message.reject(requeue=False))

    async def _deliver(self, subscription: Subscription, message: RabbitMessage) -> None:
        queue = subscription.queue
        started = time.monotonic()
        try:
            envelope = decode(message.body, accept=(queue.message,))
        except UnreadableMessage as error:
            log().error("message_unreadable", queue=queue.name, message_id=message.message_id, reason=str(error))
            await self._answer(message.reject(requeue=False))
            self._count(queue, "unreadable", started)
            return
        attributes: dict[str, str | int] = {
            semconv.QUEUE: queue.name,
            semconv.MESSAGE_ID: envelope.id,
            semconv.MESSAGE_TYPE: envelope.type,
            semconv.JOB_ID: envelope.correlationid or "",
            semconv.TRY: envelope.try_count,
        }
        tracer = trace.get_tracer(__name__)
        with (
            tracer.start_as_current_span(
                f"process {queue.name}",
                context=context_of(envelope.traceparent),
                kind=trace.SpanKind.CONSUMER,
                attributes=attributes,
            ) as span,
            bound_contextvars(job_id=envelope.correlationid, queue=queue.name, message_id=envelope.id),
        ):
            outcome = await self._handle(subscription, message, envelope)
            span.set_attribute(semconv.OUTCOME, outcome)
        self._count(queue, outcome, started)

    async def _handle(self, subscription: Subscription, message: RabbitMessage, envelope: Envelope) -> str:
        fault_point("delivery.received")
        try:
            async with asyncio.timeout(subscription.deadline_seconds) as deadline:
                facts = await self._with_patience(subscription, envelope)
                fault_point("delivery.before_facts")
                await self._facts.publish(*facts, cause=envelope)
        except asyncio.CancelledError as error:
            if not _is_cancelled():
                # Something inside the handler was cancelled, not the handler: an error like any other.
                return await self._answer_for(error, subscription, message, envelope)
            if not self._draining.is_set():
                raise
            # Out of time: give it back without counting a try against it.
            await asyncio.shield(self._send_back(message, envelope, subscription.queue.name))
            return "handed_back"
        except Exception as error:  # noqa: BLE001 - the one place that answers for every error of a handler
            late = HeldTooLong(f"not done within {subscription.deadline_seconds:g} s")
            return await self._answer_for(late if deadline.expired() else error, subscription, message, envelope)
        fault_point("delivery.before_ack")
        await self._answer(message.ack())
        return "done"

    async def _with_patience(self, subscription: Subscription, envelope: Envelope) -> Sequence[Message]:
        """Try at once again after a transient error, twice: most are over by then. Not in an outage: see RetryBudget."""
        self._retries.request()
        for pause in IN_PLACE_PAUSES_SECONDS:
            try:
                return await subscription.handle(envelope)
            except Transient as error:
                if not self._retries.spend():
                    raise
                log().info("delivery_tried_again_at_once", reason=str(error), pause_seconds=pause)
                await asyncio.sleep(pause)
        return await subscription.handle(envelope)

    async def _answer_for(
        self, error: BaseException, subscription: Subscription, message: RabbitMessage, envelope: Envelope
    ) -> str:
        age = self._facts.age_seconds(envelope)
        verdict = decide(error, envelope.try_count, somebody_waits=subscription.failure is not None, age_seconds=age)
        support_id = secrets.token_hex(6)
        reason = str(error) if isinstance(error, ChassisError) else type(error).__name__
        unexpected = not isinstance(error, ChassisError)
        log().warning(
            "delivery_failed",
            verdict=type(verdict).__name__,
            reason=reason,
            tries=envelope.try_count,
            support_id=support_id,
            exc_info=error if unexpected else None,
        )
        await self._carry_out(verdict, reason if not unexpected else "", support_id, subscription, message, envelope)
        return type(verdict).__name__.lower()

    async def _carry_out(
        self,
        verdict: Verdict,
        reason: str,
        support_id: str,
        subscription: Subscription,
        message: RabbitMessage,
        envelope: Envelope,
    ) -> None:
        match verdict:
            case RetryLater(delay_seconds, spends_a_try):
                again = _next_try(envelope) if spends_a_try else envelope
                await self._send_back(message, again, subscription.queue.name, delay_seconds=delay_seconds)
            case DeadLetter():
                await self._answer(message.reject(requeue=False))
            case GiveUp(code, keep_dead_letter):
                said = reason or f"an unexpected error; please quote {support_id}"
                given_up = GivenUp(code, said, support_id)
                facts = subscription.failure(envelope.data, given_up) if subscription.failure else ()
                try:
                    await self._facts.publish(*facts, cause=envelope)
                except ChassisError:
                    # The owner must hear of it: keep the message until the broker takes the fact.
                    await self._send_back(message, _next_try(envelope), subscription.queue.name, delay_seconds=5)
                else:
                    await self._answer(message.reject(requeue=False) if keep_dead_letter else message.ack())
            case _:
                assert_never(verdict)

    async def _send_back(
        self, message: RabbitMessage, envelope: Envelope, queue: str, *, delay_seconds: int | None = None
    ) -> None:
        """Republish to the queue, at once or through a delay, then ack. Repeats until the broker confirms.

        A requeue instead would count towards the delivery limit, and five broker hiccups would bury good work.
        """
        exchange = "" if delay_seconds is None else delay_queue(delay_seconds)
        # The bytes that came, not our reading of them: the sender may know fields that this version does not.
        body = with_try(message.body, envelope.try_count)
        copy = Outgoing(message_id=envelope.id, exchange=exchange, routing_key=queue, body=body)
        give_up_at = time.monotonic() + self._hand_back_seconds
        while time.monotonic() < give_up_at:
            try:
                await self._facts.send(copy)
            except ChassisError as error:
                log().warning("hand_back_waits", reason=str(error))
                if _is_lost(message):
                    return  # The connection is gone and the delivery with it: the broker redelivers by itself.
                await asyncio.sleep(_HAND_BACK_PAUSE_SECONDS)
            else:
                fault_point("delivery.sent_back_before_ack")
                await self._answer(message.ack())
                return
        await self._answer(message.nack(requeue=True))

    async def _answer(self, answer: Awaitable[None]) -> None:
        """Ack or reject. If the channel is gone the broker redelivers, and deterministic keys make the repeat harmless."""
        try:
            await answer
        except (AMQPError, ChannelInvalidStateError, OSError) as error:
            log().warning("delivery_not_answered", reason=str(error) or type(error).__name__)

    def _count(self, queue: Queue, outcome: str, started: float) -> None:
        self._deliveries.add(1, {semconv.QUEUE: queue.name, semconv.OUTCOME: outcome})
        self._seconds.record(time.monotonic() - started, {semconv.QUEUE: queue.name})


def _is_lost(message: RabbitMessage) -> bool:
    try:
        return bool(message.raw_message.channel.is_closed)
    except ChannelInvalidStateError:  # aio-pika does not show a channel that has closed
        return True


def _next_try(envelope: Envelope) -> Envelope:
    return envelope.model_copy(update={"try_count": envelope.try_count + 1})


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
