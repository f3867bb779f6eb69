"""Every fact of the workers goes through the saga; a family that ends makes room for the next."""

from imagetron_chassis.delivery import Subscription
from imagetron_chassis.periodic import Periodic
from imagetron_contracts.stages import FamilyMessage
from imagetron_contracts.topology import QUEUES
from imagetron_gateway.domain.job import JobStatus
from imagetron_gateway.handlers import SagaDesk, subscriptions
from support.builders import (
    a_family_started,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)
from support.eventually import eventually
from unit.gateway.desks import Office


class Desk:
    """The gateway's subscriptions, and an admission that counts its rounds."""

    def __init__(self) -> None:
        self.office = Office()
        self.rounds = 0
        self.admission = Periodic("admission", 3600, self._round)
        self.subscriptions = subscriptions(
            SagaDesk(
                jobs=self.office.jobs,
                outbox=self.office.relay,
                clock=self.office.clock,
                url_of=url_of,
                admission=self.admission,
            )
        )

    def queue_of(self, message: FamilyMessage) -> Subscription:
        (found,) = [item for item in self.subscriptions if item.queue.message is type(message)]
        return found

    async def hear(self, message: FamilyMessage) -> None:
        assert list(await self.queue_of(message).handle(self.office.envelope(message))) == []

    async def _round(self) -> None:
        self.rounds += 1


def test_every_queue_of_the_gateway_has_a_handler():
    queues = {queue.name for queue in QUEUES if queue.consumer == "gateway"}

    assert {item.queue.name for item in Desk().subscriptions} == queues


async def test_the_workers_facts_bring_a_job_to_its_end():
    desk = Desk()
    job = await desk.office.submit(families=("square",))
    await desk.office.admit()

    for message in (a_family_started(job), renders_generated(job), derivatives_rendered(job), family_published(job)):
        await desk.hear(message)

    assert (await desk.office.read(job.id)).status is JobStatus.COMPLETED


async def test_admission_is_woken_when_a_family_ends_and_not_before():
    desk = Desk()
    job = await desk.office.submit(families=("square", "landscape"))
    await desk.office.admit()
    await desk.admission.start()
    await eventually(lambda: desk.rounds == 1)

    await desk.hear(a_family_started(job))
    await desk.hear(renders_generated(job))
    assert desk.rounds == 1
    await desk.hear(stage_failed(job))
    await eventually(lambda: desk.rounds == 2)
    await desk.admission.stop()
