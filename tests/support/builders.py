"""Valid objects by default: jobs, families, workers' messages, request bodies. A test states only the value it is about."""

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.ids import JobId
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import image_prefix, spec_key
from imagetron_contracts.stages import (
    DerivativesRendered,
    DerivedFile,
    DerivedImage,
    FamilyPublished,
    FamilyStarted,
    ImageError,
    Lane,
    ModelHealth,
    PublishedFile,
    PublishedFiles,
    RenderedImage,
    RendersGenerated,
    StageFailed,
)
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.job import Family, Image, Job, Parameters

NOW: Final = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
JOB_ID: Final = "019b7a6e-0c00-7000-8000-000000000001"
CDN: Final = "https://cdn.example.com"


def url_of(key: str) -> str:
    return f"{CDN}/{key}"


def a_job_id(number: int) -> JobId:
    return f"{JOB_ID[:24]}{number:012x}"


def a_family(name: str = "square", *, images: int = 1, budget_seconds: float = 100, **fields: Any) -> Family:
    """A family that waits for admission, with seeds 7, 8, ..."""
    return Family(
        name=name,
        render=fields.pop("render", Dimensions(width=1024, height=1024)),
        images=tuple(Image(index=index, seed=7 + index) for index in range(images)),
        budget_seconds=budget_seconds,
        **fields,
    )


def a_job(*families: Family | str, now: datetime = NOW, **fields: Any) -> Job:
    """A job as submission stores it: every family waits."""
    built = [family if isinstance(family, Family) else a_family(family) for family in families or ("square",)]
    values: dict[str, Any] = {
        "id": JOB_ID,
        "owner": "local",
        "name": "hero-sunset-beach",
        "category": "marketing/seo",
        "final_prompt": "a beach at sunset",
        "negative_prompt": "people",
        "model": "photorealistic",
        "served_by": "preview",
        "parameters": Parameters(steps=30, guidance_scale=7.5, seed=7),
        "lane": Lane.INTERACTIVE,
        "created_at": now,
        "updated_at": now,
    }
    job = Job(**(values | fields), families={family.name: family for family in built})
    return saga.created(job, now).job


def an_admitted_job(*families: Family | str, now: datetime = NOW, **fields: Any) -> Job:
    """A job whose families were all let into the broker."""
    job = a_job(*families, now=now, **fields)
    for name in job.families:
        decision = saga.admit(job, name, now)
        assert decision is not None
        job = decision.job
    return job


def about(
    job: Job | None = None, family: str = "square", *, revision: int | None = None, attempt: int = 1
) -> dict[str, Any]:
    """Which work a message speaks of."""
    job_id, current = (job.id, job.revision) if job else (JOB_ID, 1)
    return {"job_id": job_id, "revision": revision or current, "family": family, "attempt": attempt}


def a_family_started(*args: Any, indexes: Iterable[int] = (0,), at: datetime = NOW, **work: Any) -> FamilyStarted:
    return FamilyStarted(**about(*args, **work), image_indexes=tuple(indexes), started_at=at)


def errors_of(bad: Mapping[int, FailureCode] | None) -> tuple[ImageError, ...]:
    return tuple(
        ImageError(index=index, code=code, message=f"image {index}: {code.value}")
        for index, code in (bad or {}).items()
    )


def renders_generated(
    *args: Any,
    indexes: Iterable[int] = (0,),
    bad: Mapping[int, FailureCode] | None = None,
    digest: str = "render",
    fingerprint: str = "preview-1",
    model_seconds: float = 2.5,
    **work: Any,
) -> RendersGenerated:
    ids = about(*args, **work)
    folder = (ids["job_id"], ids["revision"], ids["family"], ids["attempt"])
    return RendersGenerated(
        **ids,
        spec_key=spec_key(ids["job_id"], ids["revision"]),
        images=tuple(
            RenderedImage(
                index=index,
                key=f"{image_prefix(*folder, index)}/render",
                size=Dimensions(width=1024, height=1024),
                seed=7 + index,
                digest=f"{digest}-{index}",
            )
            for index in indexes
        ),
        errors=errors_of(bad),
        model="photorealistic",
        served_by="preview",
        fingerprint=fingerprint,
        model_seconds=model_seconds,
    )


def derivatives_rendered(
    *args: Any,
    indexes: Iterable[int] = (0,),
    bad: Mapping[int, FailureCode] | None = None,
    derivation: int | None = None,
    **work: Any,
) -> DerivativesRendered:
    ids = about(*args, **work)
    folder = (ids["job_id"], ids["revision"], ids["family"], ids["attempt"])
    return DerivativesRendered(
        **ids,
        images=tuple(
            DerivedImage(
                index=index,
                files=tuple(
                    DerivedFile(**_file(ids, name, index), key=f"{image_prefix(*folder, index)}/files/{name}.webp")
                    for name in picture_names(ids["family"])
                ),
            )
            for index in indexes
        ),
        errors=errors_of(bad),
        encode_seconds=1.5,
        derivation=derivation,
    )


def family_published(
    *args: Any,
    indexes: Iterable[int] = (0,),
    bad: Mapping[int, FailureCode] | None = None,
    derivation: int | None = None,
    **work: Any,
) -> FamilyPublished:
    ids = about(*args, **work)
    images = tuple(PublishedFiles(index=index, files=published_files(ids, index, derivation)) for index in indexes)
    return FamilyPublished(**ids, images=images, errors=errors_of(bad), derivation=derivation)


def published_as(job: Job, family: str, **work: Any) -> FamilyPublished:
    """One image in the sizes of the job's own table and in its formats. Of one name, each format is smaller than the last."""
    ids, row = about(job, family, **work), job.families[family].shape
    sizes = {family: row.master} | {item.name: item.size for item in row.derivatives}
    files = []
    for name, size in sizes.items():
        for place, form in enumerate(job.formats):
            digest = _digest(family, name, 0, ids["revision"], None) + (f"-{form.value}" if place else "")
            files.append(
                PublishedFile(
                    name=name,
                    key=f"{job.id}/{digest}.{form.extension}",
                    size=size,
                    format=form,
                    byte_count=1000 - 100 * place,
                    digest=digest,
                )
            )
    return FamilyPublished(**ids, images=(PublishedFiles(index=0, files=tuple(files)),))


def published_files(ids: Mapping[str, Any], index: int, derivation: int | None = None) -> tuple[PublishedFile, ...]:
    place = (index, ids["revision"], derivation)
    return tuple(
        PublishedFile(**_file(ids, name, index, derivation), key=public_key(ids["job_id"], ids["family"], name, *place))
        for name in picture_names(ids["family"])
    )


def stage_failed(
    *args: Any,
    indexes: Iterable[int] = (0,),
    stage: Stage = Stage.GENERATING,
    code: FailureCode = FailureCode.OUT_OF_MEMORY,
    message: str = "the picture does not fit into the memory",
    derivation: int | None = None,
    **work: Any,
) -> StageFailed:
    return StageFailed(
        **about(*args, **work),
        stage=stage,
        code=code,
        message=message,
        image_indexes=tuple(indexes),
        support_id="support-1",
        derivation=derivation,
    )


def a_model_health(
    model: str = "preview", *, at: datetime = NOW, is_available: bool = True, **fields: Any
) -> ModelHealth:
    seconds = 0.25 if is_available else None
    error = None if is_available else "the model does not answer"
    values = {"reporter": "generator-1", "response_seconds": seconds, "error": error} | fields
    return ModelHealth(model=model, is_available=is_available, checked_at=at, **values)


def picture_names(family: str) -> list[str]:
    """Master first, as the stages list them."""
    return [family, *(item.name for item in FAMILIES[family].derivatives)]


def public_key(
    job_id: str, family: str, name: str, index: int = 0, revision: int = 1, derivation: int | None = None
) -> str:
    """Of a published file of the messages above: other for every picture, image, revision and derivation."""
    return f"{job_id}/{_digest(family, name, index, revision, derivation)}.webp"


def _digest(family: str, name: str, index: int, revision: int, derivation: int | None) -> str:
    return f"{family}-{name}-{index}-r{revision}" + (f"-d{derivation}" if derivation else "")


def _file(ids: Mapping[str, Any], name: str, index: int, derivation: int | None = None) -> dict[str, Any]:
    table = FAMILIES[ids["family"]]
    size = {item.name: item.size for item in table.derivatives}.get(name, table.master)
    digest = _digest(ids["family"], name, index, ids["revision"], derivation)
    return {"name": name, "size": size, "format": ImageFormat.WEBP, "byte_count": 1000, "digest": digest}


_VARIATION: Final[dict[str, Any]] = {
    "name": "hero-sunset-beach",
    "category": "marketing/seo",
    "families": ["square", "landscape", "facebook-og"],
    "generation": {
        "prompt": "Professional sunset beach scene, warm golden hour lighting, serene ocean waves",
        "negativePrompt": "people, text, watermark, low quality",
        "seed": 1234567890,
        "model": "photorealistic",
        "inferenceSteps": 30,
        "guidanceScale": 7.5,
    },
    "isDxJob": True,
}


def a_variation_request(generation: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The marketing platform's own example as a JSON body; `generation` overrides single parameters."""
    body = copy.deepcopy(_VARIATION)
    body["generation"].update(generation or {})
    return body | fields
