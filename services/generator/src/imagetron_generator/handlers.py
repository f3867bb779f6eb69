"""Inbound: requested families of our own models and of outside providers, providers' callbacks, and cancellations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.clock import Clock
from imagetron_chassis.delivery import Facts, GivenUp, Subscription
from imagetron_chassis.errors import RateLimited
from imagetron_chassis.logs import log
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.message import Message
from imagetron_contracts.stages import FamilyRequested, JobCancelled, ProviderCallback, StageFailed
from imagetron_contracts.topology import (
    GENERATOR_BATCH,
    GENERATOR_CALLBACKS,
    GENERATOR_EXTERNAL,
    GENERATOR_INTERACTIVE,
)
from imagetron_generator.ports import ImageModel, Timer
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.render_family import render_family
from imagetron_generator.usecases.slots import Slots
from imagetron_generator.usecases.tasks.callbacks import take_callback
from imagetron_generator.usecases.tasks.cancelling import hasten_cancelled
from imagetron_generator.usecases.tasks.desk import TaskDesk
from imagetron_generator.usecases.tasks.ordering import is_ordered, order_family

# A copy costs nothing while it waits in the broker, and finds the renders once they are made.
COPIES_COME_BACK_SECONDS: Final = 5.0


class WorkInHand(RateLimited):
    """Another delivery of the same request is in hand in this process; it answers for both."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the handlers pass on."""

    facts: Facts
    work: Blobs
    model: ImageModel
    calls: ModelCalls
    slots: Slots
    clock: Clock
    timer: Timer
    desk: TaskDesk | None = None
    """Without one, no provider answers later."""


def subscriptions(deps: Dependencies, *, concurrency: int, external_concurrency: int = 0) -> list[Subscription]:
    """Each lane may fill all slots; more in hand would keep families from another process that is free.

    Outside providers' families take no slot: they wait for other people's servers. With 0 this process takes none of them.
    """
    in_hand: set[str] = set()

    @contextmanager
    def alone(request: FamilyRequested) -> Iterator[None]:
        """A copy (asked for again, or redelivered after an outage) would take a second slot to make the same images."""
        work = request.message_id()
        if work in in_hand:
            raise WorkInHand(
                f"family {request.family} of job {request.job_id} is being rendered already",
                retry_after_seconds=COPIES_COME_BACK_SECONDS,
            )
        in_hand.add(work)
        try:
            yield
        finally:
            in_hand.discard(work)

    async def on_family_requested(envelope: Envelope) -> Sequence[Message]:
        request = cast("FamilyRequested", envelope.data)  # the consumer reads no other type from these queues
        with alone(request):
            async with deps.slots.taken(request.lane):
                return await render(request, envelope)

    async def on_external_family(envelope: Envelope) -> Sequence[Message]:
        request = cast("FamilyRequested", envelope.data)
        with alone(request):
            if deps.desk is not None and await is_ordered(request, desk=deps.desk):
                return await order_family(request, desk=deps.desk)
            return await render(request, envelope)

    async def render(request: FamilyRequested, envelope: Envelope) -> Sequence[Message]:
        return await render_family(
            request,
            tries=envelope.try_count,
            work=deps.work,
            model=deps.model,
            announce=partial(deps.facts.publish, cause=envelope),
            calls=deps.calls,
            clock=deps.clock,
            timer=deps.timer,
        )

    made_here = [
        Subscription(queue, on_family_requested, failure=family_failed, concurrency=concurrency)
        for queue in (GENERATOR_INTERACTIVE, GENERATOR_BATCH)
    ]
    if not external_concurrency:
        return made_here
    external = Subscription(
        GENERATOR_EXTERNAL, on_external_family, failure=family_failed, concurrency=external_concurrency
    )
    return [*made_here, external, *([_callbacks(deps.desk, external_concurrency)] if deps.desk else [])]


def _callbacks(desk: TaskDesk, concurrency: int) -> Subscription:
    async def on_provider_callback(envelope: Envelope) -> Sequence[Message]:
        await take_callback(cast("ProviderCallback", envelope.data), desk=desk)
        return ()

    # Nobody need be told of one that is given up: the sweep looks after its task in any case.
    return Subscription(GENERATOR_CALLBACKS, on_provider_callback, concurrency=concurrency)


def family_failed(message: Message, given_up: GivenUp) -> Sequence[Message]:
    """What the owner hears when the generator gives up on a family's images."""
    request = cast("FamilyRequested", message)
    return [
        StageFailed.of(
            request,
            stage=Stage.GENERATING,
            code=given_up.code,
            message=given_up.message,
            image_indexes=request.image_indexes,
            support_id=given_up.support_id,
        )
    ]


async def on_job_cancelled(hint: JobCancelled, *, calls: ModelCalls, desk: TaskDesk | None = None) -> None:
    """Free the model, and have providers asked to stop, at once; the marker object does the rest."""
    if ended := calls.end(hint.job_id, hint.revision):
        log().info("model_calls_ended", job_id=hint.job_id, revision=hint.revision, calls=ended)
    if desk is not None:
        await hasten_cancelled(hint, desk=desk)
