"""Builders for the deriver's tests: a job whose landscape family has been rendered, in a work store."""

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.crops import Subject
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import FamilySpec, FileSpec, Output, RenderSpec, image_prefix, spec_key
from imagetron_contracts.stages import DerivativesRequested, RenderedImage, RendersGenerated

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
FAMILY = FAMILIES["landscape"]
RENDER = Dimensions(width=1344, height=768)
PROMPT = "a lighthouse that must stay a secret"


def a_prefix(index: int = 0, family: str = FAMILY.name, attempt: int = 1) -> str:
    return image_prefix(JOB, 1, family, attempt, index)


def an_image(index: int = 0, size: Dimensions = RENDER, attempt: int = 1) -> RenderedImage:
    key = f"{a_prefix(index, attempt=attempt)}/render"
    return RenderedImage(index=index, key=key, size=size, seed=index, digest="ab" * 32)


def renders_generated(*images: RenderedImage, **changes: object) -> RendersGenerated:
    """One good image unless others are given."""
    message = RendersGenerated(
        job_id=JOB,
        revision=1,
        family=FAMILY.name,
        attempt=1,
        spec_key=spec_key(JOB, 1),
        images=images or (an_image(),),
        model="preview",
        served_by="preview",
        fingerprint="cpu",
        model_seconds=1,
    )
    return message.model_copy(update=changes)


def derivatives_requested(*images: RenderedImage, **changes: object) -> DerivativesRequested:
    """The first cutting that somebody asked for; one good image unless others are given."""
    message = DerivativesRequested(
        job_id=JOB,
        revision=1,
        family=FAMILY.name,
        attempt=1,
        derivation=1,
        spec_key=spec_key(JOB, 1),
        images=images or (an_image(),),
    )
    return message.model_copy(update=changes)


def a_spec(
    *files: FileSpec,
    subject: Subject | None = None,
    output: Output | None = None,
    others: dict[str, Dimensions] | None = None,
) -> RenderSpec:
    """The files of the landscape family unless others are given, and the renders of other families."""
    table = (
        FileSpec(name=FAMILY.name, size=FAMILY.master),
        *(FileSpec(name=d.name, size=d.size) for d in FAMILY.derivatives),
    )
    own = FamilySpec(render=RENDER, seeds=(0, 1), files=files or table, subject=subject)
    lenders = {name: FamilySpec(render=size, seeds=(0, 1), files=table) for name, size in (others or {}).items()}
    return RenderSpec(
        job_id=JOB,
        revision=1,
        prompt=PROMPT,
        negative_prompt="",
        model="preview",
        served_by="preview",
        steps=4,
        guidance_scale=1,
        families={FAMILY.name: own, **lenders},
        output=output,
    )


async def put_spec(work: Blobs, spec: RenderSpec | None = None) -> None:
    data = (spec or a_spec()).model_dump_json().encode()
    await work.put_if_absent(spec_key(JOB, 1), data, content_type="application/json")


async def put_render(work: Blobs, data: bytes, index: int = 0, *, family: str = FAMILY.name, attempt: int = 1) -> None:
    key = f"{a_prefix(index, family, attempt)}/render"
    await work.put_if_absent(key, data, content_type="image/x-portable-pixmap")
