"""Finished pictures become public."""

import asyncio

import pytest

from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.errors import Transient
from imagetron_contracts.crops import Box, Crop, Detection, Evidence, Fit, Window
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import cancelled_key
from imagetron_publisher.adapters.unsigned import Unsigned
from imagetron_publisher.usecases import PictureLost, PictureUnfit, PictureUnmarked, PublicKeyTaken, publish_family
from unit.publisher.families import JOB, MARK, a_file, a_picture, an_image, derivatives_rendered, put_derived

LAST_TRY = 6
PICTURE = a_picture("square of 0")


class WatchedBlobs(InMemoryBlobs):
    """A public store that counts and orders its puts, refuses keys of its choice, and loses what it is told to lose."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[str] = []
        self.refuses: set[str] = set()
        self.loses = False
        self.under_way = 0
        self.most_under_way = 0

    async def put_if_absent(self, key, data, *, content_type, cache_control=None):
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if key in self.refuses:
            raise BlobsUnavailable(f"cannot store {key}")
        self.puts.append(key)
        if self.loses:
            return False
        return await super().put_if_absent(key, data, content_type=content_type, cache_control=cache_control)


@pytest.fixture
def work():
    return InMemoryBlobs()


@pytest.fixture
def public():
    return WatchedBlobs()


async def publish(message, work, public, *, tries: int = 1, at_once: int = 8, signer=None):
    return await publish_family(
        message,
        tries=tries,
        work=work,
        public=public,
        signer=signer or Unsigned(),
        copies=asyncio.Semaphore(at_once),
    )


def key_of(file):
    return f"{JOB}/{file.digest}.webp"


async def test_every_file_is_public_under_its_digest_with_its_type_and_kept_by_caches_for_ever(work, public):
    message = derivatives_rendered(an_image(0), an_image(1))
    await put_derived(work, message)

    fact = await publish(message, work, public)

    assert (fact.job_id, fact.revision, fact.family, fact.attempt) == (JOB, 1, "square", 1)
    assert [image.index for image in fact.images] == [0, 1]
    assert fact.errors == ()
    for derived, published in zip(message.images, fact.images, strict=True):
        for file, shown in zip(derived.files, published.files, strict=True):
            assert shown.model_dump() == {**file.model_dump(), "key": key_of(file)}
            stored = await public.head(shown.key)
            assert (stored.content_type, stored.size_bytes) == ("image/webp", file.byte_count)
            assert stored.cache_control == "public, max-age=31536000, immutable"
            assert await public.get(shown.key) == await work.get(file.key)


async def test_files_that_are_one_picture_share_one_object(work, public):
    message = derivatives_rendered(an_image(0, a_file("square"), a_file("poster", shows="square of 0")))
    await put_derived(work, message)

    fact = await publish(message, work, public)

    master, poster = fact.images[0].files
    assert master.key == poster.key
    assert public.puts == [master.key]


async def test_a_repeated_message_says_the_same_and_stores_nothing_new(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    first = await publish(message, work, public)

    again = await publish(message, work, public)

    assert again == first
    assert again.message_id() == first.message_id()


async def test_no_more_copies_are_under_way_than_allowed(work, public):
    message = derivatives_rendered(*(an_image(index) for index in range(5)))
    await put_derived(work, message)

    await publish(message, work, public, at_once=3)

    assert public.most_under_way == 3


async def test_an_image_is_announced_only_when_all_of_its_files_are_public(work, public):
    message = derivatives_rendered(an_image(0), an_image(1))
    await put_derived(work, message)
    public.refuses = {key_of(message.images[0].files[1])}
    with pytest.raises(BlobsUnavailable):
        await publish(message, work, public, tries=LAST_TRY - 1)

    fact = await publish(message, work, public, tries=LAST_TRY)

    assert [image.index for image in fact.images] == [1]
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.STORAGE_UNAVAILABLE)]


async def test_an_image_whose_file_expired_is_lost_work_and_its_neighbour_is_published(work, public):
    message = derivatives_rendered(an_image(0), an_image(1))
    await put_derived(work, message)
    await work.delete(message.images[0].files[1].key)

    fact = await publish(message, work, public)

    assert [image.index for image in fact.images] == [1]
    (error,) = fact.errors
    assert (error.index, error.code) == (0, FailureCode.WORK_LOST)
    assert error.message == "profile is no longer in the work store"


async def test_the_error_is_raised_when_no_image_is_left(work, public):
    with pytest.raises(PictureLost):
        await publish(derivatives_rendered(), work, public)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PICTURE + b"!", f"{len(PICTURE) + 1} bytes in the work store, and {len(PICTURE)} were derived"),
        (b"<html>".ljust(len(PICTURE)), "does not begin as a webp file does"),
        (b"\x89PNG\r\n\x1a\n".ljust(len(PICTURE)), "does not begin as a webp file does"),
    ],
)
async def test_bytes_that_are_not_what_was_derived_do_not_become_public(work, public, data, reason):
    file = a_file("square")
    await work.put_if_absent(file.key, data, content_type="image/webp")

    with pytest.raises(PictureUnfit, match=reason):
        await publish(derivatives_rendered(an_image(0, file)), work, public)

    assert public.puts == []


@pytest.mark.parametrize(
    "data",
    [
        a_picture("square of 0", mark=b"x" * len(MARK)),
        a_picture("square of 0", mark=MARK.replace(b"trainedAlgorithmicMedia", b"digitalCapture".ljust(23))),
        PICTURE.replace(b"XMP ", b"PMX "),
        PICTURE[:12].ljust(len(PICTURE)),
    ],
    ids=["no packet", "a camera made it", "not where metadata is", "cut short"],
)
async def test_a_file_that_does_not_say_that_a_model_made_it_does_not_become_public(work, public, data):
    file = a_file("square")
    await work.put_if_absent(file.key, data, content_type="image/webp")

    with pytest.raises(PictureUnmarked, match="square, as derived, does not say that a model made it"):
        await publish(derivatives_rendered(an_image(0, file)), work, public)

    assert public.puts == []


async def test_an_unmarked_image_is_told_of_at_once_and_its_neighbour_is_published(work, public):
    message = derivatives_rendered(an_image(0), an_image(1))
    unmarked = a_picture("square of 0", mark=b"x" * len(MARK))
    await work.put_if_absent(message.images[0].files[0].key, unmarked, content_type="image/webp")
    await put_derived(work, message)

    fact = await publish(message, work, public)

    assert [image.index for image in fact.images] == [1]
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.INTERNAL)]
    assert "so it is not published" in fact.errors[0].message


async def test_what_a_picture_shows_and_what_was_detected_is_passed_on(work, public):
    crop = Crop(window=Window(left=8, top=0, width=512, height=512), evidence=Evidence.FACES, fit=Fit.WHOLE)
    detection = Detection(detector="test-1", faces=(Box(left=0.1, top=0.1, right=0.3, bottom=0.4),))
    image = an_image(0, a_file("square", crop=crop), a_file("profile")).model_copy(update={"detection": detection})
    message = derivatives_rendered(image, an_image(1))
    await put_derived(work, message)

    seen, unseen = (await publish(message, work, public)).images

    assert [file.crop for file in seen.files] == [crop, None]
    assert (seen.detection, unseen.detection) == (detection, None)


@pytest.mark.parametrize("derivation", [None, 3])
async def test_a_published_family_says_which_cutting_it_is_about(work, public, derivation):
    message = derivatives_rendered(derivation=derivation)
    await put_derived(work, message)

    fact = await publish(message, work, public)

    assert fact.derivation == derivation


async def test_a_digest_that_is_none_never_becomes_a_key(work, public):
    message = derivatives_rendered(an_image(0, a_file("square", digest="../../etc")))
    await put_derived(work, message)

    with pytest.raises(PictureUnfit, match="is not a sha256"):
        await publish(message, work, public)

    assert public.puts == []


async def test_other_bytes_under_the_public_key_are_kept_and_the_image_fails(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    taken = key_of(message.images[0].files[0])
    await public.put_if_absent(taken, b"other bytes", content_type="image/webp")

    with pytest.raises(PublicKeyTaken, match="holds 11 bytes"):
        await publish(message, work, public)

    assert await public.get(taken) == b"other bytes"


async def test_an_object_that_is_removed_meanwhile_is_worth_another_try(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    public.loses = True

    with pytest.raises(Transient, match="was removed while"):
        await publish(message, work, public)


async def test_a_cancelled_job_is_dropped_before_anything_becomes_public(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    await work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")

    assert await publish(message, work, public) is None
    assert public.puts == []


async def test_a_job_cancelled_meanwhile_is_not_announced(work):
    class CancellingBlobs(InMemoryBlobs):
        async def put_if_absent(self, key, data, *, content_type, cache_control=None):
            await work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")
            return await super().put_if_absent(key, data, content_type=content_type, cache_control=cache_control)

    message = derivatives_rendered()
    await put_derived(work, message)

    assert await publish(message, work, CancellingBlobs()) is None


async def test_a_message_without_images_leads_to_nothing(work, public):
    assert await publish(derivatives_rendered(images=()), work, public) is None
