"""Cancelling, retrying and regenerating over the store: once each, and whole even if a crash comes in between."""

import asyncio

import pytest

from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_contracts.spec import cancelled_key
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.job import REQUESTS_LIMIT, Idempotency, Job, JobStatus
from imagetron_gateway.usecases import JobMissing, KeyReused, cancel_job, regenerate_job, retry_job
from support.builders import family_published, stage_failed, url_of
from unit.gateway.desks import ANNA, BERT, Office, RacingJobs


class BrokenSpecs(BlobSpecs):
    """The process dies, or the store is away, before the marker is written."""

    async def mark_cancelled(self, job_id: str, revision: int) -> None:
        raise BlobsUnavailable(f"no marker for revision {revision} of {job_id}")


async def cancel(office: Office, job: Job, specs: BlobSpecs | None = None, **options) -> Job:
    return await cancel_job(
        job.id,
        options.pop("principal", ANNA),
        jobs=office.jobs,
        specs=specs or office.specs,
        clock=office.clock,
        outbox=office.relay,
        url_of=url_of,
        **options,
    )


async def test_a_cancelled_job_is_told_once_and_workers_are_told_twice_by_hint_and_by_marker():
    office = Office()
    job = await office.submit()
    await office.admit()
    await cancel(office, job)
    await office.relay.finish()

    assert office.sent()[-2:] == ["JOB_CANCELLED", "VARIATION_CANCELLED"]
    assert await office.work.head(cancelled_key(job.id, 1)) is not None
    assert (await office.read(job.id)).next_check_at is None


async def test_a_marker_that_could_not_be_written_does_not_undo_the_cancellation_and_is_written_by_the_next_check():
    office = Office()
    job = await office.submit()
    await office.admit()
    assert (await cancel(office, job, BrokenSpecs(office.work))).status is JobStatus.CANCELLED
    assert (await office.read(job.id)).status is JobStatus.CANCELLED
    assert await office.work.head(cancelled_key(job.id, 1)) is None

    assert await office.check() == 1
    assert await office.work.head(cancelled_key(job.id, 1)) is not None
    assert await office.check() == 0


async def test_the_marker_of_a_cancelled_revision_does_not_stop_the_next_one():
    office = Office()
    job = await office.submit(families=("square",))
    await office.admit()
    await cancel(office, job, BrokenSpecs(office.work))
    await regenerate_job(job.id, ANNA, jobs=office.jobs, clock=office.clock)
    await office.check()
    await office.admit()
    revived = await office.read(job.id)

    assert await office.work.head(cancelled_key(job.id, 1)) is not None
    assert await office.work.head(cancelled_key(job.id, 2)) is None
    [ended] = await office.take_in(family_published(revived))
    assert ended is not None
    assert ended.status is JobStatus.COMPLETED


@pytest.mark.parametrize("principal", [BERT])
async def test_somebody_elses_job_can_neither_be_cancelled_nor_retried(principal):
    office = Office()
    job = await office.submit()

    with pytest.raises(JobMissing):
        await cancel(office, job, principal=principal)
    with pytest.raises(JobMissing):
        await retry_job(job.id, (), principal, jobs=office.jobs, clock=office.clock)
    assert await office.read(job.id) == job


async def test_of_a_cancellation_and_a_completion_at_once_exactly_one_happens():
    """Each reads the document before the other has written it, in either order."""
    for races in range(2):
        jobs = RacingJobs(InMemoryDocuments())
        office = Office(jobs)
        job = await office.submit(families=("square",))
        await office.admit()
        jobs.races = races
        outcomes = await asyncio.gather(
            cancel(office, job), office.take_in(family_published(job)), return_exceptions=True
        )
        await office.relay.finish()

        status = (await office.read(job.id)).status
        ends = [kind for kind in office.sent() if kind in {"VARIATION_CANCELLED", "VARIATION_COMPLETED"}]
        assert len(ends) == 1
        assert ends[0] == ("VARIATION_CANCELLED" if status is JobStatus.CANCELLED else "VARIATION_COMPLETED")
        assert isinstance(outcomes[0], NotAllowed) is (status is JobStatus.COMPLETED)


async def test_a_retry_is_asked_for_at_the_next_admission_under_the_same_spec():
    office = Office()
    job = await office.submit(families=("square",))
    await office.admit()
    await office.take_in(stage_failed(job))
    changed = await retry_job(job.id, ("square",), ANNA, jobs=office.jobs, clock=office.clock)
    await office.admit()

    assert changed.job.families["square"].attempt == 2
    assert office.sent()[-1] == "FAMILY_REQUESTED"
    assert office.sent().count("VARIATION_STARTED") == 1


async def test_a_repeated_retry_changes_nothing_even_when_it_would_be_allowed_again():
    office = Office()
    job = await office.submit(families=("square",))
    await office.admit()
    await office.take_in(stage_failed(job))
    key = Idempotency(key="k", fingerprint="f")

    async def retry(idempotency: Idempotency):
        return await retry_job(job.id, (), ANNA, jobs=office.jobs, clock=office.clock, idempotency=idempotency)

    assert not (await retry(key)).is_replay
    await office.admit()
    await office.take_in(stage_failed(job, attempt=2))
    repeated = await retry(key)
    assert (repeated.is_replay, repeated.job.status) == (True, JobStatus.FAILED)
    with pytest.raises(KeyReused):
        await retry(Idempotency(key="k", fingerprint="other"))


async def test_a_job_remembers_a_bounded_number_of_keys_the_newest_ones():
    office = Office()
    job = await office.submit(families=("square",))
    await office.admit()
    for number in range(REQUESTS_LIMIT + 3):
        current = await office.read(job.id)
        await office.take_in(stage_failed(job, attempt=current.families["square"].attempt))
        await retry_job(
            job.id,
            (),
            ANNA,
            jobs=office.jobs,
            clock=office.clock,
            idempotency=Idempotency(key=f"k{number}", fingerprint="f"),
        )
        await office.admit()

    keys = [request.key for request in (await office.read(job.id)).requests]
    assert keys == [f"k{number}" for number in range(3, REQUESTS_LIMIT + 3)]


async def test_changing_what_does_not_exist_is_refused():
    office = Office()
    with pytest.raises(JobMissing, match="no job nowhere"):
        await retry_job("nowhere", (), ANNA, jobs=office.jobs, clock=office.clock)
    with pytest.raises(JobMissing, match="no job nowhere"):
        await regenerate_job(
            "nowhere", ANNA, jobs=office.jobs, clock=office.clock, idempotency=Idempotency(key="k", fingerprint="f")
        )
