"""Submitting, reading and regenerating: stored before anything is told, and visible to its owner alone."""

import pytest

from imagetron_chassis.principals import LOCAL
from imagetron_contracts.crops import Point, Subject
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import Output, Profile, RenderSpec, spec_key
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.job import FamilyStatus, JobStatus
from imagetron_gateway.ports import InvalidCursor, NameTaken
from imagetron_gateway.usecases import SAGA, JobMissing, regenerate_job
from support.builders import a_job_id, family_published
from unit.gateway.desks import ANNA, BERT, Office


async def test_a_submitted_job_is_stored_once_and_tells_nothing_yet():
    office = Office()
    job = await office.submit()

    assert await office.read(job.id) == job
    assert await office.stored() == 1
    assert (job.status, job.outbox, job.owner, job.version) == (JobStatus.QUEUED, (), "anna", 1)
    assert office.sent() == []


async def test_every_family_is_rendered_at_its_native_size_within_a_budget_that_follows_size_and_steps():
    job = await Office().submit()
    families = job.families

    assert {name: str(family.render) for name, family in families.items()} == {
        "square": "1024x1024",
        "landscape": "1344x768",
    }
    assert families["square"].budget_seconds == pytest.approx(60 + 1024 * 1024 / 1e6 * 30 * 1.5, abs=0.001)
    assert [(image.index, image.seed) for image in families["square"].images] == [(0, 7)]


async def test_what_is_asked_of_the_files_is_the_jobs_and_what_is_said_of_a_subject_its_familys():
    subject, output = Subject(focal_point=Point(x=0.5, y=0.2)), Output(profile=Profile.FAST)
    formats = (ImageFormat.AVIF, ImageFormat.WEBP)

    job = await Office().submit(formats=formats, output=output, subjects={"landscape": subject})

    assert (job.formats, job.output) == (formats, output)
    assert {name: family.subject for name, family in job.families.items()} == {"square": None, "landscape": subject}


async def test_a_taken_name_stores_nothing_whoever_has_it():
    office = Office()
    first = await office.submit("taken")

    for principal in (ANNA, BERT):
        with pytest.raises(NameTaken, match="'taken' exists"):
            await office.submit("taken", principal)

    assert await office.stored() == 1
    assert await office.read(first.id) == first


async def test_nobody_creates_or_changes_a_job_of_somebody_else():
    office = Office()
    job = await office.submit(principal=ANNA)

    with pytest.raises(PermissionError, match="bert cannot create a job of anna"):
        await office.jobs.insert(job.model_copy(update={"id": a_job_id(9), "name": "other"}), BERT)
    with pytest.raises(PermissionError, match="bert cannot change a job of anna"):
        await office.jobs.replace(job, BERT, if_version=1)


async def test_what_belongs_to_somebody_else_does_not_exist():
    office = Office()
    job = await office.submit(principal=ANNA)

    assert await office.jobs.get(job.id, BERT) is None
    assert await office.jobs.by_name(job.name, BERT) is None
    assert (await office.jobs.page(BERT, after=None, limit=10)).jobs == []
    assert await office.jobs.waiting(Lane.INTERACTIVE, "anna", BERT, limit=10) == []
    assert await office.jobs.waiting_owners(Lane.INTERACTIVE, BERT, after=None, limit=10) == []
    assert await office.jobs.in_flight(BERT) == {}
    with pytest.raises(JobMissing, match=job.id):
        await regenerate_job(job.id, BERT, jobs=office.jobs, clock=office.clock)


@pytest.mark.parametrize("principal", [ANNA, LOCAL, SAGA])
async def test_owners_and_the_service_itself_find_a_job_by_id_name_and_page(principal):
    office = Office()
    job = await office.submit(principal=ANNA)

    assert await office.jobs.get(job.id, principal) == job
    assert await office.jobs.by_name(job.name, principal) == job
    assert list((await office.jobs.page(principal, after=None, limit=10)).jobs) == [job]


async def test_pages_hold_every_job_once_newest_first_though_others_are_added_meanwhile():
    office = Office()
    for number in range(7):
        await office.submit(f"job-{number}")
        office.clock.advance(number % 2)  # some were created in the same millisecond

    seen, cursor = [], None
    while True:
        page = await office.jobs.page(ANNA, after=cursor, limit=3)
        seen += [job.name for job in page.jobs]
        cursor = page.next
        if cursor is None:
            break
        await office.submit(f"later-{len(seen)}")

    assert seen == [f"job-{number}" for number in reversed(range(7))]


async def test_a_page_that_ends_with_the_last_job_has_no_next():
    office = Office()
    await office.submit("one")
    await office.submit("two")

    assert (await office.jobs.page(ANNA, after=None, limit=2)).next is None
    assert (await office.jobs.page(ANNA, after=None, limit=1)).next is not None


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "é", "\x00", "e30", "W10", "bnVsbA", "MQ", "WzEsMl0"),  # {} [] null 1 [1,2]
        "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwgIngiXQ",  # an id that is none
        "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwgIjAxOWI3YTZlLTBjMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSJd",  # no time zone
        # Another time zone; and an id in other letters.
        "WyIyMDI2LTAxLTAxVDAwOjAwOjAwLjAwMCswMTowMCIsICIwMTliN2E2ZS0wYzAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDEiXQ",
        "WyIyMDI2LTAxLTAxVDAwOjAwOjAwLjAwMCswMDowMCIsICIwMTlCN0E2RS0wQzAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDEiXQ",
    ],
)
async def test_a_cursor_that_this_api_did_not_make_is_refused(cursor):
    with pytest.raises(InvalidCursor, match="not made by this API"):
        await Office().jobs.page(ANNA, after=cursor, limit=3)


async def test_regenerating_stores_the_next_revision_and_its_spec_is_written_before_it_is_asked_for():
    office = Office()
    job = await office.submit(families=("square",))
    await office.admit()
    await office.take_in(family_published(job))

    regenerated = (await regenerate_job(job.id, ANNA, jobs=office.jobs, clock=office.clock)).job
    await office.admit()

    assert (regenerated.revision, regenerated.status) == (2, JobStatus.QUEUED)
    stored = await office.read(job.id)
    assert stored.families["square"].status is FamilyStatus.ADMITTED
    first, second = [
        RenderSpec.model_validate_json(await office.work.get(spec_key(job.id, revision))) for revision in (1, 2)
    ]
    assert first.model_dump(exclude={"revision"}) == second.model_dump(exclude={"revision"})


async def test_a_job_that_has_not_ended_is_not_regenerated():
    office = Office()
    job = await office.submit()

    with pytest.raises(NotAllowed):
        await regenerate_job(job.id, ANNA, jobs=office.jobs, clock=office.clock)
    assert await office.read(job.id) == job


async def test_regenerating_what_does_not_exist_is_refused():
    office = Office()

    with pytest.raises(JobMissing, match="no job nowhere"):
        await regenerate_job("nowhere", ANNA, jobs=office.jobs, clock=office.clock)
