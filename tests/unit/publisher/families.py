"""Builders for the publisher's tests: a derived family in a work store."""

import struct
from hashlib import sha256
from typing import Final

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import image_prefix
from imagetron_contracts.stages import DerivativesRendered, DerivedFile, DerivedImage

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


MARK: Final = (
    b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
    b'xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    b'i:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></r:RDF>'
)


def a_picture(text: str, *, mark: bytes = MARK) -> bytes:
    """A WebP without pixels: header, mark, and the text in place of a picture."""
    chunks = {b"VP8X": b"\x04" + bytes(9), b"XMP ": mark, b"text": text.encode()}
    packed = (name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks.items())
    inside = b"WEBP" + b"".join(packed)
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


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
