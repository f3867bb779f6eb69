"""Request and reply over the broker, many at once. Requests are short-lived and never dead-lettered."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, RabbitExchange, RabbitMessage, RabbitQueue
from opentelemetry import trace

from imagetron_chassis.broker import Broker
from imagetron_chassis.delivery import Facts
from imagetron_chassis.errors import ChassisError, Permanent, Retryable, Transient
from imagetron_chassis.logs import log
from imagetron_chassis.publishing import Outgoing
from imagetron_chassis.telemetry import context_of
from imagetron_contracts.envelope import UnreadableMessage, decode
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import RequestRefused
from imagetron_contracts.topology import Exchange, RpcQueue

ReplyT = TypeVar("ReplyT", bound=Message)


class NoReply(Transient):
    """Nobody answered in time. A late answer is dropped."""


class Refused(Permanent):
    """The service answered that it will not, and why."""


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

    async def call(self, request: Message, queue: RpcQueue, reply: type[ReplyT], *, deadline_seconds: float) -> ReplyT:
        """The reply. Raises NoReply after the deadline, Refused when the service says no (or Transient, to try again)."""
        envelope = self._facts.wrap(request)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.id] = answer
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._facts.send(
                    Outgoing(
                        message_id=envelope.id,
                        exchange=Exchange.PROMPTS,
                        routing_key=queue.name,
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
            raise Refused(f"the answer to {request.TYPE} cannot be read: {error}") from error
        if isinstance(data, reply):
            return data
        if isinstance(data, RequestRefused) and data.retryable:
            raise Transient(data.message)
        raise Refused(getattr(data, "message", f"{request.TYPE} was refused"))

    async def _on_reply(self, message: RabbitMessage) -> None:
        answer = self._waiting.get(message.correlation_id)
        if answer is not None and not answer.done():
            answer.set_result(message.body)


def serve(
    broker: Broker,
    facts: Facts,
    queue: RpcQueue,
    handle: Callable[[Message], Awaitable[Message]],
    *,
    concurrency: int = 20,
) -> None:
    """Answer every request of a queue. An error becomes RequestRefused: a handler that raises would send no reply.

    At most `concurrency` are in hand at once; what waits longer than its time to live is dropped by the broker.
    """
    tracer = trace.get_tracer(__name__)

    async def on_request(message: RabbitMessage) -> None:
        try:
            await answer(message)
        finally:
            # Acked at the end, not on delivery: the broker counts only unanswered deliveries against the prefetch.
            await message.ack()

    async def answer(message: RabbitMessage) -> None:
        try:
            envelope = decode(message.body, accept=(queue.message,))
        except UnreadableMessage as error:
            log().warning("request_unreadable", queue=queue.name, reason=str(error))
            return
        parent = context_of(envelope.traceparent)
        with tracer.start_as_current_span(f"answer {queue.name}", context=parent, kind=trace.SpanKind.SERVER):
            [result] = await asyncio.gather(handle(envelope.data), return_exceptions=True)
            reply = _refusal(result) if isinstance(result, BaseException) else result
            wrapped = facts.wrap(reply, cause=envelope)
            try:
                await facts.send(
                    Outgoing(
                        message_id=wrapped.id,
                        exchange="",
                        routing_key=message.reply_to,
                        body=wrapped.encode(),
                        correlation_id=message.correlation_id,
                    )
                )
            except ChassisError as error:
                log().warning("reply_not_sent", queue=queue.name, reason=str(error))

    broker.consuming.subscriber(
        RabbitQueue(
            queue.name,
            durable=True,
            arguments={"x-message-ttl": int(queue.time_to_live_seconds * 1000)},
            routing_key=queue.name,
        ),
        exchange=RabbitExchange(Exchange.PROMPTS.value, type=ExchangeType.DIRECT, durable=True),
        channel=Channel(prefetch_count=concurrency),
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
    )(on_request)
    broker.watch([queue.name])


def _refusal(error: BaseException) -> RequestRefused:
    if isinstance(error, ChassisError):
        return RequestRefused(message=str(error), retryable=isinstance(error, Retryable))
    support_id = secrets.token_hex(6)
    log().error("request_broke", support_id=support_id, exc_info=error)
    return RequestRefused(message=f"an unexpected error; please quote {support_id}", retryable=False)
