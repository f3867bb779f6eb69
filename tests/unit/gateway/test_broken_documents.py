"""One broken document, or one job that cannot be worked on, keeps no other job waiting."""

from datetime import timedelta

import pytest

from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.errors import Permanent
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.jobs import JOBS, DocumentJobs, JobUnreadable
from imagetron_gateway.domain.job import FamilyStatus, Job
from imagetron_gateway.usecases import SAGA, Turns, admit_waiting
from unit.gateway.desks import ANNA, Office


class FussySpecs:
    """Refuses the specs of these jobs for good."""

    def __init__(self, *refused: str) -> None:
        self._refused = refused

    async def mark_cancelled(self, job_id: str, revision: int) -> None: ...

    async def write(self, job: Job) -> None:
        if job.id in self._refused:
            raise Permanent(f"the spec of {job.id} cannot be written")


class BuggyJobs(DocumentJobs):
    """Cannot read one job."""

    unlucky = ""

    async def get(self, job_id: str, principal: Principal) -> Job | None:
        if job_id == self.unlucky:
            raise KeyError("a bug")
        return await super().get(job_id, principal)


async def corrupt(office: Office, job: Job) -> None:
    document = await office.documents.get(JOBS, job.id)
    assert document is not None
    version = document["version"]
    broken = document | {"status": "of-a-later-release", "finalPrompt": ["CANARY"], "version": version + 1}
    assert await office.documents.replace(JOBS, broken, if_version=version)


async def statuses(office: Office, job: Job) -> set[FamilyStatus]:
    return {family.status for family in (await office.read(job.id)).families.values()}


async def test_a_job_that_cannot_be_admitted_leaves_its_room_to_those_behind_it():
    office = Office()
    bad = [await office.submit(f"bad-{number}") for number in range(3)]
    office.clock.advance(1)
    good = await office.submit("good")
    specs = FussySpecs(*(job.id for job in bad))

    with pytest.raises(Permanent, match=bad[0].id):
        await admit_waiting(
            Lane.INTERACTIVE, 3, turns=Turns(), jobs=office.jobs, specs=specs, clock=office.clock, outbox=office.relay
        )
    await office.relay.finish()

    assert await statuses(office, good) == {FamilyStatus.ADMITTED}
    assert await statuses(office, bad[0]) == {FamilyStatus.WAITING}


async def test_a_document_that_cannot_be_read_hides_no_other_from_admission():
    office = Office()
    await corrupt(office, await office.submit("bad"))
    good = await office.submit("good")

    assert await office.admit() == 2
    assert await statuses(office, good) == {FamilyStatus.ADMITTED}


async def test_a_document_that_cannot_be_read_hides_no_other_from_the_checks():
    office = Office()
    bad, good = await office.submit("bad"), await office.submit("good")
    await office.admit()
    await corrupt(office, bad)
    office.clock.advance(timedelta(hours=1).total_seconds())

    assert await office.check() == 1
    assert {family.requests_sent for family in (await office.read(good.id)).families.values()} == {2}


async def test_a_list_shows_the_others_and_goes_on_after_a_document_that_cannot_be_read():
    office = Office()
    jobs = []
    for number in range(3):
        jobs.append(await office.submit(f"job-{number}"))
        office.clock.advance(1)
    await corrupt(office, jobs[1])

    first = await office.jobs.page(ANNA, after=None, limit=2)
    second = await office.jobs.page(ANNA, after=first.next, limit=2)

    assert [[job.id for job in page.jobs] for page in (first, second)] == [[jobs[2].id], [jobs[0].id]]


async def test_the_error_of_a_document_that_cannot_be_read_names_fields_and_holds_no_prompt():
    office = Office()
    job = await office.submit()
    await corrupt(office, job)

    with pytest.raises(JobUnreadable, match="finalPrompt, status") as caught:
        await office.jobs.get(job.id, SAGA)

    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_check_that_fails_for_one_job_is_done_for_the_others():
    jobs = BuggyJobs(InMemoryDocuments())
    office = Office(jobs)
    bad, good = await office.submit("bad"), await office.submit("good")
    await office.admit()
    office.clock.advance(timedelta(hours=1).total_seconds())
    jobs.unlucky = bad.id

    with pytest.raises(KeyError):
        await office.check()

    assert {family.requests_sent for family in (await office.read(good.id)).families.values()} == {2}
