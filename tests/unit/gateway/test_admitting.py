"""Admission over the store: windows are filled, and no worker hears of a job whose spec is not written."""

import pytest

from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.documents import DocumentsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_contracts.spec import RenderSpec, spec_key
from imagetron_contracts.stages import FamilyRequested, Lane
from imagetron_gateway.domain.job import FamilyStatus, Job
from imagetron_gateway.usecases import SAGA, Turns, admit_waiting, regenerate_job
from support.builders import family_published
from unit.gateway.desks import ANNA, BERT, FailingJobs, Office


class AwaySpecs:
    """A work store that is away."""

    async def mark_cancelled(self, job_id: str, revision: int) -> None:
        raise BlobsUnavailable(f"the marker of {job_id} cannot be written")

    async def write(self, job: Job) -> None:
        raise BlobsUnavailable(f"the spec of {job.id} cannot be written")


class RivalSpecs:
    """While the spec is written, another replica runs the whole job, and its owner regenerates it."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def mark_cancelled(self, job_id: str, revision: int) -> None: ...

    async def write(self, job: Job) -> None:
        await self._office.admit()
        await self._office.take_in(*(family_published(job, family) for family in job.families))
        await regenerate_job(job.id, ANNA, jobs=self._office.jobs, clock=self._office.clock)


def requested(office: Office) -> list[tuple[str, str]]:
    requests = [
        envelope.data for envelope in office.publisher.envelopes() if isinstance(envelope.data, FamilyRequested)
    ]
    return [(request.job_id, request.family) for request in requests]


async def waiting_families(office: Office, job: Job) -> list[str]:
    families = (await office.read(job.id)).families.values()
    return [family.name for family in families if family.status is FamilyStatus.WAITING]


async def test_where_nobody_waits_nobody_is_admitted():
    assert await Office().admit() == 0


async def test_a_window_with_room_takes_every_family():
    office = Office()
    job = await office.submit()

    assert await office.admit(window=2) == 2
    assert requested(office) == [(job.id, "square"), (job.id, "landscape")]
    assert office.sent().count("VARIATION_STARTED") == 1
    assert await office.admit(window=2) == 0


async def test_a_full_window_lets_nobody_in_until_something_ends():
    office = Office()
    first, second = await office.submit("one"), await office.submit("two")

    assert await office.admit(window=3) == 3
    assert await waiting_families(office, second) == ["landscape"]
    assert await office.admit(window=3) == 0
    await office.take_in(family_published(first))
    assert await office.admit(window=3) == 1
    assert await waiting_families(office, second) == []
    assert await office.jobs.in_flight(SAGA) == {"interactive": 3}


async def test_each_lane_has_a_window_of_its_own():
    office = Office()
    slow = await office.submit("slow", lane=Lane.BATCH)
    await office.submit("quick", lane=Lane.INTERACTIVE)

    assert await office.admit(Lane.INTERACTIVE, window=2) == 2
    assert await waiting_families(office, slow) == ["square", "landscape"]
    assert await office.admit(Lane.BATCH, window=1) == 1
    assert await office.jobs.in_flight(SAGA) == {"interactive": 2, "batch": 1}
    assert office.publisher.sent[-1].routing_key == "family.requested.batch"


async def test_owners_are_admitted_in_turn():
    office = Office()
    for number in range(3):
        await office.submit(f"anna-{number}", ANNA, families=("square",))
    bert = await office.submit("bert", BERT, families=("square",))

    await office.admit(window=2)

    assert requested(office)[1] == (bert.id, "square")


async def test_the_job_that_began_to_wait_first_is_admitted_first():
    office = Office()
    old = await office.submit("old", families=("square",))
    office.clock.advance(1)
    await office.submit("new", families=("square",))

    await office.admit(window=1)

    assert requested(office) == [(old.id, "square")]


async def test_the_spec_holds_all_that_workers_need_and_no_message_may_carry():
    office = Office()
    job = await office.submit(families=("facebook-og",))
    await office.admit()
    spec = RenderSpec.model_validate_json(await office.work.get(spec_key(job.id, 1)))

    assert (spec.prompt, spec.negative_prompt, spec.steps, spec.guidance_scale) == (
        "a beach at sunset",
        "people",
        30,
        7.5,
    )
    assert (spec.model, spec.served_by) == ("photorealistic", "preview")
    family = spec.families["facebook-og"]
    assert (str(family.render), family.seeds) == ("1344x768", (7,))
    assert [(file.name, str(file.size)) for file in family.files] == [
        ("facebook-og", "1200x628"),
        ("link-preview", "1200x628"),
        ("linkedin", "1200x627"),
    ]


async def test_nobody_is_asked_while_the_spec_cannot_be_written():
    office = Office()
    job = await office.submit()

    with pytest.raises(BlobsUnavailable):
        await admit_waiting(
            Lane.INTERACTIVE,
            9,
            turns=Turns(),
            jobs=office.jobs,
            specs=AwaySpecs(),
            clock=office.clock,
            outbox=office.relay,
        )

    assert await office.read(job.id) == job
    assert office.sent() == []


async def test_a_crash_between_spec_and_commit_is_made_good_by_the_next_round():
    documents = InMemoryDocuments()
    office = Office(FailingJobs(documents))
    job = await office.submit()
    with pytest.raises(DocumentsUnavailable):
        await office.admit()
    written = await office.work.get(spec_key(job.id, 1))
    assert office.sent() == []

    assert await office.admit() == 2
    assert await office.work.get(spec_key(job.id, 1)) == written
    assert len(requested(office)) == 2


async def test_a_revision_whose_spec_is_not_written_yet_is_not_asked_for():
    office = Office()
    job = await office.submit(families=("square",))

    await admit_waiting(
        Lane.INTERACTIVE,
        9,
        turns=Turns(),
        jobs=office.jobs,
        specs=RivalSpecs(office),
        clock=office.clock,
        outbox=office.relay,
    )

    assert (await office.read(job.id)).revision == 2
    assert await waiting_families(office, job) == ["square"]
    assert await office.work.head(spec_key(job.id, 2)) is None


async def test_families_that_somebody_else_admitted_meanwhile_are_not_asked_for_twice():
    class OtherReplica:
        async def mark_cancelled(self, job_id: str, revision: int) -> None: ...

        async def write(self, job: Job) -> None:
            assert job.revision == 1
            await office.admit()

    office = Office()
    await office.submit(families=("square",))
    await admit_waiting(
        Lane.INTERACTIVE,
        9,
        turns=Turns(),
        jobs=office.jobs,
        specs=OtherReplica(),
        clock=office.clock,
        outbox=office.relay,
    )
    await office.relay.finish()

    assert office.sent() == ["VARIATION_STARTED", "FAMILY_REQUESTED"]
