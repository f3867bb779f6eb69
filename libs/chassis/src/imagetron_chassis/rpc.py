"""Request and reply over the broker, many at once. Requests are short-lived and never dead-lettered."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, RabbitExchange, RabbitMessage, RabbitQueue
from faststream.rabbit.subscriber import RabbitSubscriber
from opentelemetry import trace

from imagetron_chassis.broker import Broker
from imagetron_chassis.delivery import Facts
from imagetron_chassis.errors import ChassisError, Permanent, QuotaExceeded, RateLimited, Retryable, Transient
from imagetron_chassis.intake import stop_consuming
from imagetron_chassis.logs import log
from imagetron_chassis.publishing import Outgoing
from imagetron_chassis.telemetry import context_of
from imagetron_contracts.envelope import Envelope, UnreadableMessage, decode
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import Refusal, Request, RequestRefused
from imagetron_contracts.topology import Exchange, RpcQueue, rpc_queue_of

ReplyT = TypeVar("ReplyT", bound=Message)
Handle = Callable[[Message], Awaitable[Message]]
"""Answers a request: with its reply, or with RequestRefused. What it raises becomes a refusal too."""


class NoReply(Transient):
    """Nobody answered in time. A late answer is dropped."""


class Refused(Permanent):
    """The service answered that it will not, and why. `refusal` is its answer."""

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class NotNow(Transient):
    """The service answered that it cannot at this moment, and why. `refusal` is its answer."""

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class RpcClient:
    """Sends requests and matches the replies by correlation id on one exclusive queue.

    FastStream's own `request` holds a lock for the whole round trip, so one slow call would delay every other.
    """

    def __init__(self, broker: Broker, facts: Facts) -> None:
        self._facts = facts
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._reply_queue = f"replies.{secrets.token_hex(8)}"
        broker.consuming.subscriber(
            RabbitQueue(self._reply_queue, exclusive=True, auto_delete=True, durable=False),
            channel=Channel(prefetch_count=100),
            ack_policy=AckPolicy.ACK_FIRST,
            no_reply=True,
        )(self._on_reply)

    async def call(self, request: Request, reply: type[ReplyT], *, deadline_seconds: float) -> ReplyT:
        """The reply. Raises NoReply after the deadline, Refused when the service says no, NotNow when it may help to try
        again.
        """
        envelope = self._facts.wrap(request)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.id] = answer
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._facts.send(
                    Outgoing(
                        message_id=envelope.id,
                        exchange=Exchange.PROMPTS,
                        routing_key=rpc_queue_of(type(request)).name,
                        body=envelope.encode(),
                        reply_to=self._reply_queue,
                        correlation_id=envelope.id,
                    )
                )
                body = await answer
        except TimeoutError as error:
            raise NoReply(f"no answer to {request.TYPE} within {deadline_seconds:g} s") from error
        finally:
            del self._waiting[envelope.id]
        try:
            data = decode(body, accept=(reply, RequestRefused)).data
        except UnreadableMessage as error:
            unreadable = f"the answer to {request.TYPE} cannot be read: {error}"
            raise Refused(RequestRefused(message=unreadable, retryable=False)) from error
        if isinstance(data, RequestRefused):
            raise NotNow(data) if data.retryable else Refused(data)
        assert isinstance(data, reply)  # noqa: S101 - decode accepted nothing else; this tells the type checker
        return data

    async def _on_reply(self, message: RabbitMessage) -> None:
        answer = self._waiting.get(message.correlation_id)
        if answer is not None and not answer.done():
            answer.set_result(message.body)


class RpcServer:
    """Answers requests. An error becomes a refusal: a handler that raises would send no reply."""

    def __init__(self, broker: Broker, facts: Facts) -> None:
        self._broker = broker
        self._facts = facts
        self._tracer = trace.get_tracer(__name__)
        self._subscribers: list[RabbitSubscriber] = []
        self._in_hand: set[asyncio.Task[None]] = set()

    def answer(self, queue: RpcQueue, handle: Handle) -> None:
        """Answer every request of a queue, once the connection consumes.

        At most `queue.concurrency` are in hand at once; what waits longer than its time to live is dropped by the broker.
        """

        async def on_request(message: RabbitMessage) -> None:
            # A task of its own: FastStream cancels its handlers when it stops, and a paid answer would be lost.
            task = asyncio.create_task(self._take(queue, handle, message))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)
            await asyncio.wait([task])

        subscriber = self._broker.consuming.subscriber(
            RabbitQueue(
                queue.name,
                durable=True,
                arguments={"x-message-ttl": int(queue.time_to_live_seconds * 1000)},
                routing_key=queue.name,
            ),
            exchange=RabbitExchange(Exchange.PROMPTS.value, type=ExchangeType.DIRECT, durable=True),
            channel=Channel(prefetch_count=queue.concurrency),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )
        subscriber(on_request)
        self._subscribers.append(subscriber)
        self._broker.watch([queue.name])

    async def start(self) -> None:
        await self._broker.consuming.start()

    async def drain(self, grace_seconds: float) -> None:
        """Take nothing new, answer what is in hand. What does not finish in time is refused."""
        await asyncio.gather(*(stop_consuming(subscriber) for subscriber in self._subscribers))
        if not self._in_hand:
            return
        _, unfinished = await asyncio.wait(self._in_hand, timeout=grace_seconds)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=1)

    async def _take(self, queue: RpcQueue, handle: Handle, message: RabbitMessage) -> None:
        try:
            await self._answer(queue, handle, message)
        finally:
            # Acked at the end, not on delivery: the broker counts only unanswered deliveries against the prefetch. Where its
            # connection is gone, it delivers the request again, or has dropped it.
            with suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError):
                await message.ack()

    async def _answer(self, queue: RpcQueue, handle: Handle, message: RabbitMessage) -> None:
        try:
            envelope = decode(message.body, accept=(queue.message,))
        except UnreadableMessage as error:
            log().warning("request_unreadable", queue=queue.name, reason=str(error))
            if message.reply_to:
                await self._reply(message, None, _UNREADABLE)
            return
        parent = context_of(envelope.traceparent)
        with self._tracer.start_as_current_span(f"answer {queue.name}", context=parent, kind=trace.SpanKind.SERVER):
            if queue.is_paid and message.raw_message.redelivered:
                # Nobody knows how far the server came that had it: it may have been paid for, and its caller may be gone.
                await self._reply(message, envelope, _GONE)
                return
            working = asyncio.ensure_future(handle(envelope.data))
            try:
                await asyncio.wait([working])
            except asyncio.CancelledError:
                working.cancel()
                await self._reply(message, envelope, _STOPPED)
                return
            [result] = await asyncio.gather(working, return_exceptions=True)
            await self._reply(message, envelope, _refusal(result) if isinstance(result, BaseException) else result)

    async def _reply(self, message: RabbitMessage, request: Envelope | None, reply: Message) -> None:
        wrapped = self._facts.wrap(reply, cause=request)
        try:
            await self._facts.send(
                Outgoing(
                    message_id=wrapped.id,
                    exchange="",
                    routing_key=message.reply_to,
                    body=wrapped.encode(),
                    correlation_id=message.correlation_id,
                )
            )
        except ChassisError as error:
            log().warning("reply_not_sent", queue=message.raw_message.routing_key, reason=str(error))


_GONE = RequestRefused(
    message="the server that had this request in hand has gone; it is not carried out a second time by itself",
    retryable=True,
    code=Refusal.UNAVAILABLE,
)
_UNREADABLE = RequestRefused(
    message="this version of the service cannot read the request", retryable=False, code=Refusal.INTERNAL
)
_STOPPED = RequestRefused(
    message="the server stopped before it had the answer",
    retryable=True,
    code=Refusal.UNAVAILABLE,
)


def _refusal(error: BaseException) -> RequestRefused:
    """What the caller's caller is told. The errors' own sentences name hosts, files and vendors: they go into the log."""
    if isinstance(error, ChassisError):
        log().warning("request_failed", error_type=type(error).__name__, reason=str(error))
    match error:
        case RateLimited():
            return RequestRefused(
                message="a service behind this one asks for a pause",
                retryable=True,
                code=Refusal.RATE_LIMITED,
                retry_after_seconds=error.retry_after_seconds,
            )
        case QuotaExceeded():
            spent = "the quota with a service behind this one is used up; whoever operates this must act"
            return RequestRefused(message=spent, retryable=False, code=Refusal.QUOTA_EXCEEDED)
        case Retryable():
            away = "a part of the service is away for the moment"
            return RequestRefused(message=away, retryable=True, code=Refusal.UNAVAILABLE)
        case ChassisError():
            return RequestRefused(message=str(error), retryable=False, code=Refusal.INTERNAL)
    support_id = secrets.token_hex(6)
    log().error("request_broke", support_id=support_id, exc_info=error)
    return RequestRefused(
        message=f"an unexpected error; please quote {support_id}", retryable=False, code=Refusal.INTERNAL
    )
