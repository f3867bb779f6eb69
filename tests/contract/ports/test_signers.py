"""What every signer promises, whatever it signs with: one suite over the one that signs nothing and one that stamps."""

import io

import pytest
from PIL import Image

from imagetron_chassis.marks.reading import is_marked
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.stages import DerivedFile
from imagetron_publisher.adapters.unsigned import Unsigned
from imagetron_publisher.ports import Signer
from unit.chassis.marked_files import a_file as a_marked_file
from unit.chassis.marked_files import said
from unit.publisher.families import JOB, a_file
from unit.publisher.signers import StampingSigner


@pytest.fixture(params=[Unsigned, StampingSigner], ids=lambda kind: kind.__name__)
def signer(request) -> Signer:
    made: Signer = request.param()
    return made


@pytest.fixture(params=ImageFormat)
def form(request) -> ImageFormat:
    return ImageFormat(request.param)


@pytest.fixture
def data(form) -> bytes:
    return a_marked_file(form, said())


@pytest.fixture
def file(form, data) -> DerivedFile:
    return a_file("square", format=form, byte_count=len(data), size=Dimensions(width=24, height=16))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


async def test_a_signed_file_is_still_marked(signer, data, file, form):
    signed = await signer.sign(data, job_id=JOB, file=file)

    assert is_marked(signed, form)


async def test_a_signed_file_is_the_same_picture_in_the_same_format_with_the_same_metadata(signer, data, file):
    signed, before = opened(await signer.sign(data, job_id=JOB, file=file)), opened(data)

    assert (signed.format, signed.size, signed.tobytes()) == (before.format, before.size, before.tobytes())
    assert signed.info["xmp"] == before.info["xmp"]


async def test_a_file_may_be_signed_again_and_the_signer_says_whether_that_gives_the_same_bytes(signer, data, file):
    signed = {await signer.sign(data, job_id=JOB, file=file) for _ in range(8)}

    assert (len(signed) == 1) == signer.repeats_itself
