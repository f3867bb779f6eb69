"""Builders for the deriver's tests: a job whose landscape family has been rendered, in a work store."""

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, image_prefix, spec_key
from imagetron_contracts.stages import RenderedImage, RendersGenerated

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
FAMILY = FAMILIES["landscape"]
RENDER = Dimensions(width=1344, height=768)
PROMPT = "a lighthouse that must stay a secret"


def a_prefix(index: int = 0) -> str:
    return image_prefix(JOB, 1, FAMILY.name, 1, index)


def an_image(index: int = 0, size: Dimensions = RENDER) -> RenderedImage:
    return RenderedImage(index=index, key=f"{a_prefix(index)}/render", size=size, seed=index, digest="ab" * 32)


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


def a_spec(*files: FileSpec) -> RenderSpec:
    """The files of the landscape family unless others are given."""
    table = (
        FileSpec(name=FAMILY.name, size=FAMILY.master),
        *(FileSpec(name=d.name, size=d.size) for d in FAMILY.derivatives),
    )
    return RenderSpec(
        job_id=JOB,
        revision=1,
        prompt=PROMPT,
        negative_prompt="",
        model="preview",
        served_by="preview",
        steps=4,
        guidance_scale=1,
        families={FAMILY.name: FamilySpec(render=RENDER, seeds=(0, 1), files=files or table)},
    )


async def put_spec(work: Blobs, spec: RenderSpec | None = None) -> None:
    data = (spec or a_spec()).model_dump_json().encode()
    await work.put_if_absent(spec_key(JOB, 1), data, content_type="application/json")


async def put_render(work: Blobs, data: bytes, index: int = 0) -> None:
    await work.put_if_absent(f"{a_prefix(index)}/render", data, content_type="image/x-portable-pixmap")
