"""Cutting a family's renders again, with another subject in mind: asked for, answered, asked for again. Pure, like saga.py.

Each time is a derivation, counted by the family; only the newest one's answers count. What is replaced are the files of
published images: the status of family and job, the attempt and the price stay, whatever comes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from imagetron_contracts.crops import Subject
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.spec import spec_key
from imagetron_contracts.stages import (
    CuttingMessage,
    DerivativesRendered,
    DerivativesRequested,
    FamilyPublished,
    ImageError,
    PublishedFiles,
    RenderedImage,
    StageFailed,
)
from imagetron_gateway.domain.decisions import STAGE_CHECK_AFTER, Decision, Draft
from imagetron_gateway.domain.job import Failure, Family, Image, Job, JobStatus, Recut, RecutImage, Render
from imagetron_gateway.domain.pictures import UrlOf, good_images
from imagetron_gateway.domain.telling import family_completed

MOST_DERIVATIONS: Final = 100
"""Of one revision: each leaves public objects behind, and none of them waits for admission."""


def objection_to(job: Job, name: str) -> str | None:
    """Why the family cannot be cut again now; None if it can."""
    family = job.families[name]
    if job.status is JobStatus.CANCELLED:
        # Workers drop whatever is about a revision that carries the marker.
        return "the job was cancelled; it can be regenerated"
    if not family.status.is_terminal:
        return f"{name} is {family.status.value}; it can be cut again when it has ended"
    good = good_images(family.images)
    if not good:
        return f"{name} is {family.status.value} and has no pictures; there is nothing to cut again"
    if family.derivation >= MOST_DERIVATIONS:
        return f"{name} was cut again {MOST_DERIVATIONS} times; regenerate the job to begin anew"
    if unknown := [str(image.index) for image in good if _rendered(image) is None]:
        return f"nobody knows where the render of image {', '.join(unknown)} of {name} lies; ask again in a moment"
    return None


def changed(subject: Subject | None, said: Mapping[str, Any]) -> Subject | None:
    """The subject with these fields instead of its own; None if nothing is said of it any more."""
    fresh = (subject or Subject()).model_copy(update=dict(said))
    return None if fresh == Subject() else fresh


def begin(draft: Draft, name: str) -> None:
    """Ask for all published images of the family, as its next derivation. One that is under way is superseded."""
    family = draft.job.families[name]
    images = tuple(RecutImage(index=image.index) for image in good_images(family.images))
    recut = Recut(asked_at=draft.now, attempt=family.attempt, images=images)
    draft.change(name, derivation=family.derivation + 1)
    draft.remark("recut_asked", name, detail=f"derivation {family.derivation + 1}")
    _request(draft, name, recut)


def answered(job: Job, message: CuttingMessage, now: datetime, url_of: UrlOf) -> Decision | None:
    """What an answer changes; None if it is about another derivation, or says nothing new."""
    family = job.families[message.family]
    recut = family.recut
    if recut is None or not _is_about(message, job, family, recut):
        return None
    owed = {image.index for image in recut.images if image.is_owed}
    cut = {image.index: image for image in _published(message) if image.index in owed}
    failed = {index: why for index, why in _failures(message).items() if index in owed}
    if not cut and not failed:
        return None
    draft = Draft(job, now)
    _settle(draft, family.name, recut, cut=cut.keys(), failed=failed)
    if cut:
        _replace_files(draft, family.name, cut.values())
        draft.tell(lambda told: family_completed(told, family.name, url_of, derivation=family.derivation))
    return draft.decision()


def under_way(job: Job) -> dict[str, Recut]:
    """By family."""
    return {name: family.recut for name, family in job.families.items() if family.recut and family.recut.is_under_way}


def due(job: Job, now: datetime) -> dict[str, Recut]:
    """What should have been answered by now, by family."""
    return {name: recut for name, recut in under_way(job).items() if recut.check_at and recut.check_at <= now}


def ask_again(draft: Draft, name: str, recut: Recut, *, most_requests: int) -> None:
    """Ask once more for what is owed; after the last time, give it up."""
    request, unsent = _request_for(draft.job, name, recut), {entry.id for entry in draft.job.outbox}
    if request is not None and request.message_id() in unsent:
        # The broker is away, and nobody can answer what nobody heard.
        draft.change(name, recut=recut.model_copy(update={"check_at": draft.now + STAGE_CHECK_AFTER}))
    elif recut.requests_sent < most_requests:
        _request(draft, name, recut)
        draft.remark("recut_asked_again", name)
    else:
        message = f"no answer after asking {recut.requests_sent} times; please quote {draft.job.id}"
        give_up(draft, name, recut, FailureCode.WORK_LOST, message)


def give_up(draft: Draft, name: str, recut: Recut, code: FailureCode, message: str) -> None:
    """Wait no longer: what is owed keeps the files that it has."""
    why = Failure(stage=Stage.DERIVING, code=code, message=message, support_id=draft.job.id)
    _settle(draft, name, recut, cut=(), failed={image.index: why for image in recut.images if image.is_owed})


def _is_about(message: CuttingMessage, job: Job, family: Family, recut: Recut) -> bool:
    said = (message.revision, message.attempt, message.derivation)
    return said == (job.revision, recut.attempt, family.derivation)


def _published(message: CuttingMessage) -> Sequence[PublishedFiles]:
    return message.images if isinstance(message, FamilyPublished) else ()


def _failures(message: CuttingMessage) -> dict[int, Failure]:
    match message:
        case DerivativesRendered():
            return {error.index: _failure(Stage.DERIVING, error) for error in message.errors}
        case FamilyPublished():
            return {error.index: _failure(Stage.PUBLISHING, error) for error in message.errors}
        case StageFailed():
            told = {"stage": message.stage, "code": message.code, "message": message.message}
            return dict.fromkeys(message.image_indexes, Failure(**told, support_id=message.support_id))
        case _:
            return {}


def _failure(stage: Stage, error: ImageError) -> Failure:
    return Failure(stage=stage, code=error.code, message=error.message)


def _settle(draft: Draft, name: str, recut: Recut, *, cut: Collection[int], failed: Mapping[int, Failure]) -> None:
    """These images are owed no longer; one that was cut has not failed.

    With the last one it is over, and forgotten if all went well.
    """
    images = tuple(
        image.model_copy(update={"is_cut": True})
        if image.index in cut
        else image.model_copy(update={"failure": failed.get(image.index, image.failure)})
        for image in recut.images
    )
    now = recut.model_copy(update={"images": images})
    if now.is_under_way:
        draft.change(name, recut=now)
    elif now.failure is None:
        draft.change(name, recut=None).remark("recut", name, detail=_which(draft, name))
    else:
        draft.change(name, recut=now.model_copy(update={"check_at": None}))
        draft.remark("recut_failed", name, detail=f"{_which(draft, name)}: {now.failure.code.value}")


def _which(draft: Draft, name: str) -> str:
    return f"derivation {draft.job.families[name].derivation}"


def _replace_files(draft: Draft, name: str, images: Iterable[PublishedFiles]) -> None:
    """The name moves with them, where it points to this revision; which images it shows does not change."""
    draft.images(name, {image.index: {"files": image.files, "detection": image.detection} for image in images})
    shown = draft.job.published.get(name)
    if shown is not None and shown.revision == draft.job.revision:
        now = {image.index: image for image in draft.job.families[name].images}
        moved = shown.model_copy(update={"images": tuple(now[image.index] for image in shown.images)})
        draft.update(published={**draft.job.published, name: moved})


def _request(draft: Draft, name: str, recut: Recut) -> None:
    request = _request_for(draft.job, name, recut)
    if request is not None:
        draft.say(request)
    check_at = draft.now + STAGE_CHECK_AFTER * 2**recut.requests_sent
    asked = recut.model_copy(update={"requests_sent": recut.requests_sent + 1, "check_at": check_at})
    draft.change(name, recut=asked)


def _request_for(job: Job, name: str, recut: Recut) -> DerivativesRequested | None:
    """For what is owed, as far as the renders are known: after a retry, pictures may be heard of before their renders."""
    family = job.families[name]
    owed = {image.index for image in recut.images if image.is_owed}
    renders = [_rendered(image) for image in family.images if image.index in owed]
    known = tuple(render for render in renders if render is not None)
    if not known:
        return None
    return DerivativesRequested(
        job_id=job.id,
        revision=job.revision,
        family=name,
        attempt=recut.attempt,
        derivation=family.derivation,
        spec_key=spec_key(job.id, job.revision),
        images=known,
        subject=family.subject,
    )


def _rendered(image: Image) -> RenderedImage | None:
    """As the model's worker told it; None while that is not known."""
    render, digest = image.render, image.digest
    if render is None or digest is None:
        return None
    facts = {name: getattr(render, name) for name in Render.model_fields}
    return RenderedImage(**facts, index=image.index, seed=image.seed, digest=digest)
