"""The job saga: `(job, message, now) -> (job, messages to send) | None`. The only place that decides a job's state.

    job:     queued -> running -> completed | partial | failed | cancelled
    family:  waiting -> admitted -> generating -> deriving -> publishing -> completed | partial | failed | cancelled

What is about cutting a family again is recutting.py's, and moves none of these.

Messages may come twice, late and in any order: results of an older revision or attempt are ignored, an image's progress
only goes forward, and an end is left only by what somebody asked for (commands.py).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.stages import (
    CuttingMessage,
    DerivativesRendered,
    FamilyMessage,
    FamilyPublished,
    FamilyStarted,
    ImageError,
    Lane,
    RenderedImage,
    RendersGenerated,
    StageFailed,
)
from imagetron_gateway.domain import recutting
from imagetron_gateway.domain.decisions import STAGE_CHECK_AFTER, Decision, Draft, requests_for
from imagetron_gateway.domain.job import (
    Failure,
    Family,
    FamilyStatus,
    Image,
    ImageStatus,
    Job,
    JobStatus,
    PublishedFamily,
    Render,
)
from imagetron_gateway.domain.pictures import UrlOf, good_images
from imagetron_gateway.domain.telling import family_completed, family_failed, variation_ended, variation_started

# How often one attempt of a family is asked for. With the check doubling each time, somebody who waits hears of an outage
# of all workers after half an hour; batch work outlasts a night of it. An outage of the broker spends none of them.
MAX_REQUESTS: Final = {Lane.INTERACTIVE: 6, Lane.BATCH: 11}
# Work that begins again and again for longer than this (a model that is always busy) must not put off its end for ever.
STARTS_COUNT_FOR: Final = timedelta(hours=1)


def created(job: Job, now: datetime, *, failed_over_to: str | None = None) -> Decision:
    """A new job: everything waits for admission. Named is the model that serves because the one asked for cannot."""
    draft = Draft(job, now).remark("created")
    if failed_over_to:
        draft.remark("failed_over", detail=failed_over_to)
    return draft.decision()


def admit(job: Job, family_name: str, now: datetime) -> Decision | None:
    """Let a waiting family into the broker. None if it does not wait (any more)."""
    family = job.families[family_name]
    if family.status is not FamilyStatus.WAITING or job.status.is_terminal:
        return None
    draft = Draft(job, now)
    if all(other.status is FamilyStatus.WAITING and other.attempt == 1 for other in job.families.values()):
        draft.tell(variation_started)
    draft.change(family_name, status=FamilyStatus.ADMITTED, admitted_at=now).request(family_name)
    return draft.remark("admitted", family_name).decision()


def apply(job: Job, message: FamilyMessage, now: datetime, url_of: UrlOf) -> Decision | None:
    """What a worker's message changes; None if it is about other work, or says nothing new."""
    family = job.families.get(message.family)
    if family is None:
        return None
    if isinstance(message, CuttingMessage) and message.derivation is not None:
        return recutting.answered(job, message, now, url_of)
    if not _is_asked_for(job, family, message):
        return None
    draft = Draft(job, now)
    _take_in(draft, family, message)
    if draft.job.families[family.name] == family:
        return None
    if not family.status.is_terminal:
        _forward_family(draft, family.name)
        _settle_family(draft, family.name, url_of)
    elif job.status.is_terminal:
        draft.update(published=names_moved(draft.job))
    return draft.decision()


def _take_in(draft: Draft, family: Family, message: FamilyMessage) -> None:
    """Whatever is no worker's message changes nothing."""
    match message:
        case FamilyStarted():
            _started(draft, family, message)
        case RendersGenerated():
            _rendered(draft, family, message)
        case DerivativesRendered():
            _derived(draft, family, message)
        case FamilyPublished():
            _published(draft, family, message)
        case StageFailed():
            _failed(draft, family, message)


def _is_asked_for(job: Job, family: Family, message: FamilyMessage) -> bool:
    """A message is a claim: it must be about this revision and attempt, and about work that was let into the broker."""
    is_current = (message.revision, message.attempt) == (job.revision, family.attempt)
    return is_current and family.status not in {FamilyStatus.WAITING, FamilyStatus.CANCELLED}


def tick(job: Job, now: datetime, url_of: UrlOf) -> Decision | None:
    """Ask again for work that should have answered by now; after the last time, fail it. None if nothing is due."""
    due = [
        family
        for family in job.families.values()
        if family.status.is_in_flight and family.check_at is not None and family.check_at <= now
    ]
    recuts = recutting.due(job, now)
    if not due and not recuts:
        return None
    draft = Draft(job, now)
    for name, recut in recuts.items():
        recutting.ask_again(draft, name, recut, most_requests=MAX_REQUESTS[job.lane])
    for family in due:
        if _is_unsent(job, family):
            # The broker is away, and nobody can answer what nobody heard.
            draft.change(family.name, check_at=now + STAGE_CHECK_AFTER)
            continue
        if family.requests_sent < MAX_REQUESTS[job.lane]:
            draft.request(family.name).remark("asked_again", family.name)
            continue
        stage = stage_of(family.status)
        lost = Failure(
            stage=stage,
            code=FailureCode.WORK_LOST,
            message=f"no answer after asking {family.requests_sent} times; please quote {job.id}",
            support_id=job.id,
        )
        indexes = [image.index for image in family.images if not image.status.is_terminal]
        draft.images(family.name, {index: {"status": ImageStatus.FAILED, "failure": lost} for index in indexes})
        _settle_family(draft, family.name, url_of)
    return draft.decision()


def _is_unsent(job: Job, family: Family) -> bool:
    unsent = {entry.id for entry in job.outbox}
    return any(request.message_id() in unsent for request in requests_for(job, family.name))


def _started(draft: Draft, family: Family, message: FamilyStarted) -> None:
    """A start that was heard of gives no new time; work that began anew (its worker died) does."""
    is_known = family.started_at is not None and message.started_at <= family.started_at
    is_endless = family.started_at is not None and draft.now - (family.admitted_at or draft.now) > STARTS_COUNT_FOR
    if is_known or is_endless or family.status.is_terminal:
        return
    status = FamilyStatus.GENERATING if family.status is FamilyStatus.ADMITTED else family.status
    check_at = draft.now + timedelta(seconds=family.budget_seconds) + STAGE_CHECK_AFTER
    draft.change(family.name, status=status, started_at=message.started_at, check_at=check_at)
    draft.job_started()


def _rendered(draft: Draft, family: Family, message: RendersGenerated) -> None:
    """Facts of a render are kept even when they come late: they are what makes the picture repeatable."""
    known = {image.index: image for image in family.images}
    news: dict[int, dict[str, object]] = {}
    for render in message.images:
        image = known.get(render.index)
        if image is not None and image.digest is None:
            news[render.index] = {
                "digest": render.digest,
                "render": _made(render),
                "status": _forward(image.status, ImageStatus.RENDERED),
            }
    draft.images(family.name, news)
    _record_errors(draft, family, Stage.GENERATING, message.errors)
    if any(render.index in news and _has_failed_over(draft.job, _made(render)) for render in message.images):
        draft.remark("failed_over", family.name, detail=draft.job.fallback.model if draft.job.fallback else None)
    if news:
        draft.change(
            family.name,
            fingerprint=message.fingerprint,
            model_seconds=round(family.model_seconds + message.model_seconds, 6),
        )
        _check_soon(draft, family)
    draft.job_started()


def _made(render: RenderedImage) -> Render:
    return Render(
        key=render.key,
        size=render.size,
        provider=render.provider,
        served_by=render.served_by,
        seconds=render.seconds,
        gpu_seconds=render.gpu_seconds,
        answer_digest=render.answer_digest,
    )


def _derived(draft: Draft, family: Family, message: DerivativesRendered) -> None:
    known = {image.index: image.status for image in family.images}
    news: dict[int, dict[str, object]] = {
        image.index: {"status": ImageStatus.DERIVED}
        for image in message.images
        if known.get(image.index) in {ImageStatus.WAITING, ImageStatus.RENDERED}
    }
    draft.images(family.name, news)
    _record_errors(draft, family, Stage.DERIVING, message.errors)
    if news:
        draft.change(family.name, encode_seconds=round(family.encode_seconds + message.encode_seconds, 6))
        _check_soon(draft, family)


def _published(draft: Draft, family: Family, message: FamilyPublished) -> None:
    known = {image.index: image for image in family.images}
    news: dict[int, dict[str, object]] = {
        image.index: {"status": ImageStatus.PUBLISHED, "files": image.files, "detection": image.detection}
        for image in message.images
        if image.index in known and not known[image.index].status.is_terminal
    }
    draft.images(family.name, news)
    # In the same write as the state: an image is charged when it is delivered, once.
    draft.update(cost=draft.job.cost.charged(sum(price_of(draft.job, family, known[index]) for index in news)))
    _record_errors(draft, family, Stage.PUBLISHING, message.errors)


def price_of(job: Job, family: Family, image: Image) -> int:
    """What the image costs if it is delivered, in micro-dollars."""
    return family.fallback_price_micros if _has_failed_over(job, image.render) else family.price_micros


def _has_failed_over(job: Job, render: Render | None) -> bool:
    return job.fallback is not None and render is not None and render.served_by == job.fallback.model


def _failed(draft: Draft, family: Family, message: StageFailed) -> None:
    failure = Failure(stage=message.stage, code=message.code, message=message.message, support_id=message.support_id)
    open_images = {image.index for image in family.images if not image.status.is_terminal}
    wanted = open_images.intersection(message.image_indexes)
    draft.images(family.name, {index: {"status": ImageStatus.FAILED, "failure": failure} for index in wanted})


def _check_soon(draft: Draft, family: Family) -> None:
    """The model has done its part: what remains takes seconds. Images that the model still owes keep their time."""
    images = draft.job.families[family.name].images
    if family.check_at is None or any(image.status is ImageStatus.WAITING for image in images):
        return
    patience = STAGE_CHECK_AFTER * 2 ** max(0, family.requests_sent - 1)
    draft.change(family.name, check_at=draft.now + patience)


def _record_errors(draft: Draft, family: Family, stage: Stage, errors: Iterable[ImageError]) -> None:
    open_images = {image.index for image in family.images if not image.status.is_terminal}
    draft.images(
        family.name,
        {
            error.index: {
                "status": ImageStatus.FAILED,
                "failure": Failure(stage=stage, code=error.code, message=error.message),
            }
            for error in errors
            if error.index in open_images
        },
    )


def _forward(now: ImageStatus, then: ImageStatus) -> ImageStatus:
    order = list(ImageStatus)
    return max(now, then, key=order.index)


def _forward_family(draft: Draft, name: str) -> None:
    """The status of the least advanced open image, never backwards."""
    family = draft.job.families[name]
    open_images = [image.status for image in family.images if not image.status.is_terminal]
    least = min(open_images, key=list(ImageStatus).index, default=None)
    if least is ImageStatus.RENDERED:
        draft.change(name, status=max(family.status, FamilyStatus.DERIVING, key=list(FamilyStatus).index))
    elif least is ImageStatus.DERIVED:
        draft.change(name, status=max(family.status, FamilyStatus.PUBLISHING, key=list(FamilyStatus).index))


def _settle_family(draft: Draft, name: str, url_of: UrlOf) -> None:
    """End the family when its last image has ended, and the job when its last family has."""
    family = draft.job.families[name]
    if not all(image.status.is_terminal for image in family.images):
        return
    good = good_images(family.images)
    bad = sorted((image for image in family.images if image.failure), key=lambda image: image.index)
    failure = bad[0].failure if bad else None
    some = FamilyStatus.PARTIAL if bad else FamilyStatus.COMPLETED
    status = some if good else FamilyStatus.FAILED
    draft.change(name, status=status, failure=failure, check_at=None, finished_at=draft.now)
    draft.job_started().remark(f"family_{status.value}", name, detail=failure.code.value if failure else None)
    if failure and not good:
        draft.tell(lambda job: family_failed(job, name, failure))
    else:
        draft.tell(lambda job: family_completed(job, name, url_of))
    if good and family.derivation:
        # A retry's images are cut as the spec says, which is older than what was said of the subject since.
        recutting.begin(draft, name)
    if all(other.status.is_terminal for other in draft.job.families.values()):
        _settle_job(draft, url_of)


def _settle_job(draft: Draft, url_of: UrlOf) -> None:
    families = draft.job.families
    statuses = {family.status for family in families.values()}
    if statuses == {FamilyStatus.COMPLETED}:
        status = JobStatus.COMPLETED
    elif statuses == {FamilyStatus.FAILED}:
        status = JobStatus.FAILED
    else:
        status = JobStatus.PARTIAL
    errors = {name: family.failure.message for name, family in families.items() if family.failure}
    summary = "; ".join(f"{name}: {message}" for name, message in errors.items()) or None
    draft.update(status=status, error=summary, finished_at=draft.now, published=names_moved(draft.job))
    draft.remark(status.value)
    draft.tell(lambda job: variation_ended(job, errors, summary or "", url_of))


def names_moved(job: Job) -> dict[str, PublishedFamily]:
    """Each name points to the newest revision that has a good image of its family. A cancelled revision takes no name away
    from an older one.
    """
    moved = {
        name: PublishedFamily(revision=job.revision, images=tuple(good))
        for name, family in job.families.items()
        if (good := good_images(family.images))
    }
    if job.status is JobStatus.CANCELLED:
        moved |= {name: older for name, older in job.published.items() if older.revision < job.revision}
    return {**job.published, **moved}


def stage_of(status: FamilyStatus) -> Stage:
    late = {FamilyStatus.DERIVING: Stage.DERIVING, FamilyStatus.PUBLISHING: Stage.PUBLISHING}
    return late.get(status, Stage.GENERATING)
