"""Builders for the publisher's tests: a derived family in a work store."""

from hashlib import sha256

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import image_prefix
from imagetron_contracts.stages import DerivativesRendered, DerivedFile, DerivedImage

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


def a_picture(text: str) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + text.encode()


def a_file(name: str, index: int = 0, *, shows: str | None = None, **changes: object) -> DerivedFile:
    """Files that show the same are one picture."""
    shown = shows or f"{name} of {index}"
    file = DerivedFile(
        name=name,
        key=f"{image_prefix(JOB, 1, 'square', 1, index)}/files/{name}.webp",
        size=Dimensions(width=512, height=512),
        format=ImageFormat.WEBP,
        byte_count=len(a_picture(shown)),
        digest=sha256(shown.encode()).hexdigest(),
    )
    return file.model_copy(update=changes)


def an_image(index: int = 0, *files: DerivedFile) -> DerivedImage:
    return DerivedImage(index=index, files=files or (a_file("square", index), a_file("profile", index)))


def derivatives_rendered(*images: DerivedImage, **changes: object) -> DerivativesRendered:
    """One image of two files unless others are given."""
    message = DerivativesRendered(
        job_id=JOB, revision=1, family="square", attempt=1, images=images or (an_image(),), encode_seconds=1
    )
    return message.model_copy(update=changes)


async def put_derived(work: Blobs, message: DerivativesRendered) -> None:
    for image in message.images:
        for file in image.files:
            data = a_picture(f"{file.name} of {image.index}")
            await work.put_if_absent(file.key, data, content_type="image/webp")
