"""From a family's renders to its pictures in the work store."""

import json

import pytest

from imagetron_chassis.blobs import BlobInfo, BlobsUnavailable
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import cancelled_key, spec_key
from imagetron_deriver.adapters.memory import InMemoryCutter
from imagetron_deriver.ports import CutterDied, RenderUnreadable
from imagetron_deriver.usecases import MAX_RENDER_BYTES, RenderLost, SpecUnusable, derive_family
from unit.deriver.renders import JOB, PROMPT, a_prefix, an_image, put_render, put_spec, renders_generated

LAST_TRY = 6


class TroubledBlobs(InMemoryBlobs):
    """A store that cannot store keys with this ending, or claims sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = "never"
        self.claimed_size: int | None = None
        self.after_put: dict[str, tuple[str, ...]] = {}

    async def put_if_absent(self, key, data, *, content_type, cache_control=None):
        if self.refuses in key:
            raise BlobsUnavailable(f"cannot store {key}")
        stored = await super().put_if_absent(key, data, content_type=content_type, cache_control=cache_control)
        for marker in self.after_put.pop(key, ()):
            await super().put_if_absent(marker, b"", content_type="text/plain")
        return stored

    async def head(self, key) -> BlobInfo | None:
        known = await super().head(key)
        if known and self.claimed_size and key.endswith("/render"):
            return BlobInfo(key, self.claimed_size, known.content_type, None, known.etag)
        return known


@pytest.fixture
async def work():
    store = TroubledBlobs()
    await put_spec(store)
    await put_render(store, b"first", 0)
    await put_render(store, b"second", 1)
    return store


@pytest.fixture
def cutter():
    return InMemoryCutter()


async def test_every_file_of_every_image_is_stored_and_named_master_first(work, cutter):
    fact = await derive_family(renders_generated(an_image(0), an_image(1)), tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert (fact.job_id, fact.revision, fact.family, fact.attempt) == (JOB, 1, "landscape", 1)
    assert [image.index for image in fact.images] == [0, 1]
    assert [file.name for file in fact.images[0].files] == ["landscape", "hero", "youtube-thumbnail", "banner"]
    for file in (*fact.images[0].files, *fact.images[1].files):
        stored = await work.head(file.key)
        assert stored is not None
        assert (stored.size_bytes, stored.content_type) == (file.byte_count, "image/webp")
    assert fact.encode_seconds == 1.0
    assert fact.errors == ()


async def test_files_that_are_equal_pictures_share_one_object_and_digest(work, cutter):
    fact = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert fact is not None
    master, hero, thumbnail, banner = fact.images[0].files
    assert (hero.key, hero.digest) == (master.key, master.digest)
    for file in (master, thumbnail, banner):
        assert file.key == f"{a_prefix()}/files/{file.digest}.webp"
    assert len({master.key, thumbnail.key, banner.key}) == 3
    assert len(cutter.asked[0][1]) == 3


async def test_a_repeated_message_says_the_same_without_cutting_again(work, cutter):
    message = renders_generated(an_image(0), an_image(1))
    first = await derive_family(message, tries=1, work=work, cutter=cutter)
    again = await derive_family(message, tries=1, work=work, cutter=cutter)

    assert first is not None
    assert again is not None
    assert again.images == first.images
    assert again.message_id() == first.message_id()
    assert again.encode_seconds == 0
    assert len(cutter.asked) == 2


async def test_an_image_is_made_again_when_its_manifest_cannot_be_read(work, cutter):
    await work.put_if_absent(f"{a_prefix()}/files/manifest.json", b"{", content_type="application/json")

    fact = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert len(fact.images) == 1


async def test_bytes_that_an_earlier_try_stored_are_the_ones_announced(work, cutter):
    first = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)
    assert first is not None
    master = first.images[0].files[0]
    await work.delete(f"{a_prefix()}/files/manifest.json")
    await work.delete(master.key)
    await work.put_if_absent(master.key, b"older encoder", content_type="image/webp")

    fact = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert fact.images[0].files[0].byte_count == len(b"older encoder")


async def test_one_unreadable_render_does_not_sink_its_neighbour(work, cutter):
    cutter.fail(b"first", RenderUnreadable("the render cannot be decoded"))

    fact = await derive_family(renders_generated(an_image(0), an_image(1)), tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert [image.index for image in fact.images] == [1]
    (error,) = fact.errors
    assert (error.index, error.code) == (0, FailureCode.RENDER_UNREADABLE)
    assert error.message == "the render cannot be decoded"


async def test_the_error_is_raised_when_no_image_is_left(work, cutter):
    cutter.fail(b"first", RenderUnreadable("the render cannot be decoded"))

    with pytest.raises(RenderUnreadable):
        await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)


async def test_while_another_try_can_help_the_message_is_retried_and_finished_images_are_not_made_again(work, cutter):
    cutter.fail(b"first", CutterDied("killed"))
    message = renders_generated(an_image(0), an_image(1))
    with pytest.raises(CutterDied):
        await derive_family(message, tries=1, work=work, cutter=cutter)
    cutter.recover()

    fact = await derive_family(message, tries=2, work=work, cutter=cutter)

    assert fact is not None
    assert [image.index for image in fact.images] == [0, 1]
    assert cutter.opened_renders == [b"first", b"second", b"first"]


async def test_a_retryable_error_wins_over_a_permanent_one_so_that_no_image_is_lost_early(work, cutter):
    cutter.fail(b"first", RenderUnreadable("the render cannot be decoded"))
    cutter.fail(b"second", CutterDied("killed"))

    with pytest.raises(CutterDied):
        await derive_family(renders_generated(an_image(0), an_image(1)), tries=1, work=work, cutter=cutter)


async def test_an_image_that_killed_two_processes_fails_alone(work, cutter):
    cutter.fail(b"first", CutterDied("killed"))

    fact = await derive_family(renders_generated(an_image(0), an_image(1)), tries=2, work=work, cutter=cutter)

    assert fact is not None
    assert [image.index for image in fact.images] == [1]
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.OUT_OF_MEMORY)]


async def test_an_image_that_cannot_be_stored_fails_alone_after_the_last_try(work, cutter):
    work.refuses = f"{a_prefix(0)}/files"
    message = renders_generated(an_image(0), an_image(1))
    with pytest.raises(BlobsUnavailable):
        await derive_family(message, tries=LAST_TRY - 1, work=work, cutter=cutter)

    fact = await derive_family(message, tries=LAST_TRY, work=work, cutter=cutter)

    assert fact is not None
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.STORAGE_UNAVAILABLE)]


async def test_a_render_that_expired_is_lost_work(work, cutter):
    await work.delete(f"{a_prefix(0)}/render")

    fact = await derive_family(renders_generated(an_image(0), an_image(1)), tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.WORK_LOST)]


async def test_a_render_that_is_too_big_is_not_even_read(work, cutter):
    work.claimed_size = MAX_RENDER_BYTES + 1

    with pytest.raises(RenderUnreadable, match="120001025 bytes"):
        await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert cutter.opened_renders == []


async def test_a_lost_spec_fails_the_family(work, cutter):
    await work.delete(spec_key(JOB, 1))

    with pytest.raises(RenderLost) as lost:
        await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert lost.value.failure_code is FailureCode.WORK_LOST


async def test_a_spec_that_cannot_be_read_fails_the_family_without_a_word_of_its_content(work, cutter):
    await work.delete(spec_key(JOB, 1))
    broken = json.dumps({"prompt": PROMPT, "steps": PROMPT}).encode()
    await work.put_if_absent(spec_key(JOB, 1), broken, content_type="application/json")

    with pytest.raises(SpecUnusable) as unusable:
        await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert PROMPT not in str(unusable.value)
    assert unusable.value.__cause__ is None


async def test_a_spec_without_the_family_fails_the_family(work, cutter):
    with pytest.raises(SpecUnusable, match="no family square"):
        await derive_family(renders_generated(family="square"), tries=1, work=work, cutter=cutter)


async def test_a_cancelled_job_is_dropped_before_anything_is_cut(work, cutter):
    await work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")

    assert await derive_family(renders_generated(), tries=1, work=work, cutter=cutter) is None
    assert cutter.opened_renders == []


async def test_a_job_cancelled_meanwhile_is_not_announced(work, cutter):
    work.after_put[f"{a_prefix()}/files/manifest.json"] = (cancelled_key(JOB, 1),)

    assert await derive_family(renders_generated(), tries=1, work=work, cutter=cutter) is None
    assert len(cutter.asked) == 1


async def test_a_message_without_images_leads_to_nothing(work, cutter):
    assert await derive_family(renders_generated(images=()), tries=1, work=work, cutter=cutter) is None
