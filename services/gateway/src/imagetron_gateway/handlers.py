"""Inbound messages: the workers' facts change jobs, hints feed the reports."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import Clock
from imagetron_chassis.delivery import Subscription
from imagetron_chassis.hints import listen
from imagetron_chassis.periodic import Periodic
from imagetron_contracts import topology
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.message import Message
from imagetron_contracts.stages import FamilyMessage, ModelHealth, Progress
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Hearing, Jobs, Outbox
from imagetron_gateway.usecases.taking_in import take_in

# Commits wait for the disk, not for the processor; messages of one job that race retry on the version.
_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class SagaDesk:
    """What taking in a message needs."""

    jobs: Jobs
    outbox: Outbox
    clock: Clock
    url_of: UrlOf
    admission: Periodic


def subscriptions(desk: SagaDesk) -> list[Subscription]:
    """Every worker's fact goes through the saga. Nobody can be told when that fails, so it is never given up."""

    async def on_family_message(envelope: Envelope) -> Sequence[Message]:
        message = envelope.data
        assert isinstance(message, FamilyMessage)  # noqa: S101 - the queues below carry nothing else
        job = await take_in(
            message, cause=envelope, jobs=desk.jobs, clock=desk.clock, outbox=desk.outbox, url_of=desk.url_of
        )
        if job is not None and job.families[message.family].status.is_terminal:
            desk.admission.kick()
        return ()

    queues = (
        topology.GATEWAY_STARTED,
        topology.GATEWAY_RENDERS,
        topology.GATEWAY_DERIVATIVES,
        topology.GATEWAY_PUBLISHED,
        topology.GATEWAY_FAILED,
    )
    return [Subscription(queue, on_family_message, concurrency=_CONCURRENCY, deadline_seconds=30) for queue in queues]


def listen_to_hints(broker: Broker, hearing: Hearing) -> None:
    listen(broker, topology.HINTS_PROGRESS, Progress, hearing.on_progress)
    listen(broker, topology.HINTS_MODEL_HEALTH, ModelHealth, hearing.on_model_health)
