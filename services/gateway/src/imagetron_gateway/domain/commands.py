"""What people ask of a job that exists: cancel it, retry what failed, make everything again, cut it again. Pure, like saga.py.

These alone leave an end: each is recorded in the history, and begins a new attempt or a new revision. Cutting again leaves
none: it begins a derivation.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import JobCancelled
from imagetron_gateway.domain import recutting
from imagetron_gateway.domain.decisions import Decision, Draft
from imagetron_gateway.domain.job import Failure, Family, FamilyStatus, ImageStatus, Job, JobStatus, Policy
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.domain.saga import names_moved, stage_of
from imagetron_gateway.domain.seeds import seed_of
from imagetron_gateway.domain.telling import variation_cancelled

_RETRYABLE = {FamilyStatus.FAILED, FamilyStatus.PARTIAL}


class NotAllowed(Exception):
    """The job's state does not allow this; the sentence says which would."""


def cancel(job: Job, now: datetime, url_of: UrlOf, expected: JobStatus | None = None) -> Decision:
    """End the job; what was published stays readable, what is still on its way changes nothing any more.

    Raises NotAllowed for a job that has ended, or whose status is not the `expected` one.
    """
    if expected is not None and job.status is not expected:
        raise NotAllowed(f"the job is {job.status.value}, not {expected.value}; nothing was changed")
    if job.status.is_terminal:
        raise NotAllowed(f"the job is {job.status.value}; only queued and running jobs can be cancelled")
    draft = Draft(job, now)
    for family in job.families.values():
        if not family.status.is_terminal:
            _cancel_family(draft, family)
    recuts = recutting.under_way(job)
    for name, recut in recuts.items():
        recutting.give_up(draft, name, recut, FailureCode.CANCELLED, "cancelled")
    if job.in_flight_families or recuts:
        draft.update(unmarked_revision=job.revision).say(JobCancelled(job_id=job.id, revision=job.revision))
    draft.update(status=JobStatus.CANCELLED, error="cancelled", finished_at=now)
    draft.update(published=names_moved(draft.job))
    return draft.remark("cancelled").tell(lambda ended: variation_cancelled(ended, url_of)).decision()


def marked(job: Job, now: datetime) -> Decision:
    """The marker of the cancelled revision is written; nothing is owed any more."""
    return Draft(job, now).update(unmarked_revision=None).decision()


def retry(job: Job, now: datetime, families: Collection[str] = ()) -> Decision:
    """Ask again for what failed, as the family's next attempt: its missing images only. No families named: all that failed.

    Allowed while other families run. Raises NotAllowed for a cancelled job, and where nothing failed.
    """
    if job.status is JobStatus.CANCELLED:
        raise NotAllowed("the job was cancelled; it can be regenerated")
    failed = [name for name, family in job.families.items() if family.status in _RETRYABLE]
    if not failed:
        raise NotAllowed(f"the job is {job.status.value}, and none of its families failed: there is nothing to retry")
    if others := sorted(set(families) - set(failed)):
        raise NotAllowed(f"these families did not fail: {', '.join(others)}; those that did: {', '.join(failed)}")
    draft = Draft(job, now)
    for name in families or failed:
        family = job.families[name]
        draft.change(
            name,
            status=FamilyStatus.WAITING,
            attempt=family.attempt + 1,
            requests_sent=0,
            images=tuple(image if image.failure is None else image.unmade() for image in family.images),
            admitted_at=None,
            started_at=None,
            finished_at=None,
            failure=None,
        ).remark("retried", name, detail=f"attempt {family.attempt + 1}")
    if job.status.is_terminal:
        draft.update(status=JobStatus.QUEUED, error=None, finished_at=None)
    return draft.decision()


def regenerate(job: Job, now: datetime, seed: int | None = None, *, policy: Policy | None = None) -> Decision:
    """Run the same inputs again as the next revision: same seeds, same pictures; a given `seed` makes others. Names keep
    pointing to the old ones until the new revision ends. Raises NotAllowed while the job runs.
    """
    if not job.status.is_terminal:
        raise NotAllowed(f"the variation is {job.status.value}; it can be regenerated when it has ended")
    if seed is not None and policy is not None and policy != job.policy:
        raise NotAllowed("the policy has changed since the job was submitted; other pictures need a new submission")
    families = {
        name: family.unmade(seed_of=None if seed is None else partial(seed_of, seed))
        for name, family in job.families.items()
    }
    parameters = job.parameters if seed is None else job.parameters.model_copy(update={"seed": seed})
    fresh = job.model_copy(
        update={
            "revision": job.revision + 1,
            "status": JobStatus.QUEUED,
            "families": families,
            "parameters": parameters,
            "cost": job.cost.expecting(sum(family.estimated_micros for family in families.values())),
            "error": None,
            "started_at": None,
            "finished_at": None,
        }
    )
    what = "regenerated" if seed is None else "reseeded"
    return Draft(fresh, now).remark(what, detail=f"revision {fresh.revision}").decision()


def cut_again(job: Job, family_name: str, said: Mapping[str, Any], now: datetime) -> Decision:
    """Cut the family's renders again with these fields of its subject changed; its pictures stay until the new ones are public.

    Raises NotAllowed for a family that has not ended, or has no pictures.
    """
    if objection := recutting.objection_to(job, family_name):
        raise NotAllowed(objection)
    draft = Draft(job, now)
    draft.change(family_name, subject=recutting.changed(job.families[family_name].subject, said))
    recutting.begin(draft, family_name)
    return draft.decision()


def _cancel_family(draft: Draft, family: Family) -> None:
    cancelled = Failure(stage=stage_of(family.status), code=FailureCode.CANCELLED, message="cancelled")
    open_images = [image.index for image in family.images if not image.status.is_terminal]
    draft.images(family.name, {index: {"status": ImageStatus.FAILED, "failure": cancelled} for index in open_images})
    draft.change(family.name, status=FamilyStatus.CANCELLED, failure=cancelled, check_at=None, finished_at=draft.now)
