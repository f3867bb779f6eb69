"""Cutting again over the store: the request leaves at once, once for each key, and is asked for again if nobody answers."""

import asyncio

import pytest

from imagetron_contracts.crops import Misfit, Subject
from imagetron_contracts.stages import DerivativesRequested
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.decisions import STAGE_CHECK_AFTER
from imagetron_gateway.domain.job import Idempotency, Job
from imagetron_gateway.usecases.changing import Changed, cut_family_again
from imagetron_gateway.usecases.committing import FamilyMissing, JobChanged, JobMissing, KeyReused
from support.builders import family_published, renders_generated
from unit.gateway.desks import ANNA, BERT, Office, RacingDocuments, RacingJobs

KEY = Idempotency(key="one", fingerprint="this request")


async def published(office: Office, *families: str) -> Job:
    job = await office.submit(families=families or ("square",))
    await office.admit()
    for family in job.families:
        await office.take_in(renders_generated(job, family), family_published(job, family))
    return await office.read(job.id)


async def cut(office: Office, job: Job, family: str = "square", **options) -> Changed:
    changed = await cut_family_again(
        job.id,
        family,
        options.pop("said", {"misfit": Misfit.PAD}),
        options.pop("principal", ANNA),
        jobs=office.jobs,
        clock=office.clock,
        outbox=office.relay,
        **options,
    )
    await office.relay.finish()
    return changed


def asked(office: Office) -> list[DerivativesRequested]:
    said = [envelope.data for envelope in office.publisher.envelopes()]
    return [message for message in said if isinstance(message, DerivativesRequested)]


async def test_the_request_leaves_without_waiting_for_a_sweep():
    office = Office()
    job = await published(office)
    changed = await cut(office, job)

    assert [(request.job_id, request.subject) for request in asked(office)] == [(job.id, Subject(misfit=Misfit.PAD))]
    assert changed.job.families["square"].derivation == 1
    assert not changed.is_replay


async def test_what_nobody_answers_is_asked_for_again_by_the_check():
    office = Office()
    job = await published(office)
    await cut(office, job)
    assert await office.check() == 0

    office.clock.advance(STAGE_CHECK_AFTER.total_seconds())
    assert await office.check() == 1

    assert [request.derivation for request in asked(office)] == [1, 1]
    [changed] = await office.take_in(family_published(job, derivation=1))
    assert changed is not None
    assert changed.next_check_at is None
    assert office.sent()[-1] == "FAMILY_COMPLETED"


async def test_one_key_cuts_once_even_if_both_requests_come_at_the_same_moment():
    office = Office()
    job = await published(office)
    both = await asyncio.gather(cut(office, job, idempotency=KEY), cut(office, job, idempotency=KEY))

    assert sorted(changed.is_replay for changed in both) == [False, True]
    assert (await office.read(job.id)).families["square"].derivation == 1


async def test_the_key_of_another_request_is_refused():
    office = Office()
    job = await published(office)
    await cut(office, job, idempotency=KEY)

    with pytest.raises(KeyReused):
        await cut(office, job, idempotency=Idempotency(key="one", fingerprint="another request"))


async def test_two_wishes_that_race_are_two_derivations_and_neither_is_lost():
    documents = RacingDocuments()
    office = Office(RacingJobs(documents))
    job = await published(office)
    office.jobs.races = 2  # type: ignore[attr-defined]
    await cut(office, job)
    await cut(office, job)

    assert (await office.read(job.id)).families["square"].derivation == 2


async def test_a_version_that_is_no_longer_the_jobs_is_refused_before_anything_else():
    office = Office()
    job = await published(office)

    with pytest.raises(JobChanged):
        await cut(office, job, "round", if_version=job.version - 1)
    assert (await cut(office, job, if_version=job.version)).job.families["square"].derivation == 1


async def test_a_family_is_named_by_its_alias_too_and_others_are_refused_with_the_names_that_there_are():
    office = Office()
    job = await published(office, "square", "facebook-og")

    assert (await cut(office, job, "social")).job.families["facebook-og"].derivation == 1
    with pytest.raises(FamilyMissing, match="the job has no family 'hero'; its families: square, facebook-og"):
        await cut(office, job, "hero")


async def test_somebody_elses_job_cannot_be_cut_again():
    office = Office()
    job = await published(office)

    with pytest.raises(JobMissing):
        await cut(office, job, principal=BERT)
    assert await office.read(job.id) == job


async def test_what_is_not_allowed_changes_nothing():
    office = Office()
    job = await office.submit()

    with pytest.raises(NotAllowed):
        await cut(office, job)
    assert await office.read(job.id) == job
