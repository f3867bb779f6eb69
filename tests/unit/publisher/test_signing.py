"""Where signatures come in: after everything else that happens to a file, and before the last look at it."""

import asyncio

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.errors import Permanent, Transient
from imagetron_contracts.failures import FailureCode
from imagetron_publisher.usecases import PictureUnfit, PictureUnmarked, publish_family
from unit.publisher.families import MARK, an_image, derivatives_rendered, put_derived
from unit.publisher.signers import StampingSigner

LAST_TRY = 6


class Doing:
    """A signer that does what it is told to."""

    repeats_itself = True

    def __init__(self, do) -> None:
        self._do = do
        self.asked: list[tuple[str, str]] = []

    async def sign(self, data, *, job_id, file):
        self.asked.append((job_id, file.name))
        return self._do(data)


@pytest.fixture
def work():
    return InMemoryBlobs()


@pytest.fixture
def public():
    return InMemoryBlobs()


async def publish(message, work, public, signer, *, tries: int = 1):
    return await publish_family(
        message, tries=tries, work=work, public=public, signer=signer, copies=asyncio.Semaphore(2)
    )


async def test_what_the_signer_gave_is_what_becomes_public_and_its_length_is_what_is_told(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)

    fact = await publish(message, work, public, StampingSigner())

    (image,) = fact.images
    for derived, file in zip(message.images[0].files, image.files, strict=True):
        signed, unsigned = await public.get(file.key), await work.get(derived.key)
        assert signed[8 : len(unsigned)] == unsigned[8:]
        assert len(unsigned) < len(signed) == file.byte_count
        # Named for the picture, which is the same: a signature is no other picture.
        assert file.digest == derived.digest


async def test_the_signer_is_told_whose_file_it_signs_and_which(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    signer = Doing(lambda data: data)

    await publish(message, work, public, signer)

    assert sorted(signer.asked) == [(message.job_id, "profile"), (message.job_id, "square")]


async def test_a_second_try_keeps_the_signature_that_is_public_and_says_the_same(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    first = await publish(message, work, public, StampingSigner())
    before = [await public.get(file.key) for file in first.images[0].files]

    again = [await publish(message, work, public, StampingSigner()) for _ in range(3)]

    assert again == [first] * 3
    assert [await public.get(file.key) for file in first.images[0].files] == before


@pytest.mark.parametrize(
    ("do", "error"),
    [
        (lambda data: data.replace(MARK, b"x" * len(MARK)), PictureUnmarked),
        (lambda data: data[:-2], PictureUnmarked),
        (lambda _: b"\x89PNG\r\n\x1a\n", PictureUnfit),
        (lambda _: b"", PictureUnfit),
    ],
    ids=["loses the mark", "cuts the file short", "changes the format", "gives nothing"],
)
async def test_a_signer_that_spoils_the_file_keeps_it_from_becoming_public(work, do, error):
    class NothingPublic(InMemoryBlobs):
        async def put_if_absent(self, key, data, *, content_type, cache_control=None):
            raise AssertionError(f"{key} became public")

    message = derivatives_rendered()
    await put_derived(work, message)

    with pytest.raises(error, match="once signed"):
        await publish(message, work, NothingPublic(), Doing(do))


def failing(error):
    def do(_):
        raise error

    return do


async def test_a_signer_that_is_away_is_waited_for(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)

    with pytest.raises(Transient, match="not now"):
        await publish(message, work, public, Doing(failing(Transient("not now"))), tries=LAST_TRY - 1)


async def test_an_image_that_the_signer_refuses_fails_alone(work, public):
    message = derivatives_rendered(an_image(0), an_image(1))
    await put_derived(work, message)

    class Choosy(Doing):
        async def sign(self, data, *, job_id, file):
            if "/0/" in file.key:
                raise Permanent("the certificate does not cover this")
            return data

    fact = await publish(message, work, public, Choosy(None))

    assert [image.index for image in fact.images] == [1]
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.INTERNAL)]
