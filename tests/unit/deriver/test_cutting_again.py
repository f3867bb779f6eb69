"""The same renders cut again, with another subject in mind."""

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.crops import Box, Evidence, Subject
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec, Output, Watermark
from imagetron_deriver.adapters.memory import InMemoryCutter
from imagetron_deriver.ports import RenderUnreadable
from imagetron_deriver.usecases import derive_family
from unit.deriver.renders import (
    PROMPT,
    a_prefix,
    a_spec,
    an_image,
    derivatives_requested,
    put_render,
    put_spec,
    renders_generated,
)

SQUARE = FileSpec(name="square", size=Dimensions(width=768, height=768))
LEFT = Subject(safe_zone=Box(left=0, top=0, right=0.2, bottom=1))
RIGHT = Subject(safe_zone=Box(left=0.8, top=0, right=1, bottom=1))


@pytest.fixture
async def work():
    store = InMemoryBlobs()
    await put_spec(store, a_spec(SQUARE, subject=LEFT))
    await put_render(store, b"first", 0)
    await put_render(store, b"second", 1)
    return store


@pytest.fixture
def cutter():
    return InMemoryCutter()


async def test_the_subject_of_the_request_takes_the_place_of_the_specs(work, cutter):
    fact = await derive_family(derivatives_requested(subject=RIGHT), tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert fact.derivation == 1
    crop = fact.images[0].files[0].crop
    assert crop is not None
    assert crop.window.left == 576


async def test_a_request_without_a_subject_says_nothing_of_it(work, cutter):
    fact = await derive_family(derivatives_requested(), tries=1, work=work, cutter=cutter)

    assert fact is not None
    crop = fact.images[0].files[0].crop
    assert crop is not None
    assert crop.evidence is Evidence.CENTRE


async def test_every_derivation_has_its_own_manifest_and_new_pictures_lie_beside_the_old_ones(work, cutter):
    first = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)
    second = await derive_family(derivatives_requested(subject=RIGHT), tries=1, work=work, cutter=cutter)
    third = await derive_family(derivatives_requested(subject=LEFT, derivation=2), tries=1, work=work, cutter=cutter)

    assert first is not None
    assert second is not None
    assert third is not None
    for name in ("manifest.json", "manifest-1.json", "manifest-2.json"):
        assert await work.head(f"{a_prefix()}/files/{name}") is not None
    assert second.images[0].files[0].key != first.images[0].files[0].key
    assert third.images == first.images
    assert len({fact.message_id() for fact in (first, second, third)}) == 3


async def test_a_repeated_request_says_the_same_without_cutting_again(work, cutter):
    request = derivatives_requested(an_image(0), an_image(1), subject=RIGHT)
    first = await derive_family(request, tries=1, work=work, cutter=cutter)
    again = await derive_family(request, tries=1, work=work, cutter=cutter)

    assert first is not None
    assert again is not None
    assert (again.images, again.message_id()) == (first.images, first.message_id())
    assert len(cutter.asked) == 2


async def test_an_image_that_cannot_be_cut_again_keeps_its_neighbours(work, cutter):
    cutter.fail(b"first", RenderUnreadable("the render cannot be decoded"))
    request = derivatives_requested(an_image(0), an_image(1))

    fact = await derive_family(request, tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert [image.index for image in fact.images] == [1]
    assert [(error.index, error.code) for error in fact.errors] == [(0, FailureCode.RENDER_UNREADABLE)]


async def test_who_finishes_an_image_first_says_what_it_became(cutter):
    class OvertakenBlobs(InMemoryBlobs):
        """Somebody else's manifest is there just before ours."""

        def __init__(self) -> None:
            super().__init__()
            self.others: bytes | None = None

        async def put_if_absent(self, key, data, *, content_type, cache_control=None):
            if self.others and key.endswith("manifest-2.json"):
                await super().put_if_absent(key, self.others, content_type=content_type)
            return await super().put_if_absent(key, data, content_type=content_type, cache_control=cache_control)

    work = OvertakenBlobs()
    await put_spec(work, a_spec(SQUARE))
    await put_render(work, b"first")
    theirs = await derive_family(derivatives_requested(subject=RIGHT), tries=1, work=work, cutter=cutter)
    assert theirs is not None
    work.others = theirs.images[0].model_dump_json().encode()

    ours = await derive_family(derivatives_requested(subject=LEFT, derivation=2), tries=1, work=work, cutter=cutter)

    assert ours is not None
    assert ours.images == theirs.images


async def test_pictures_are_made_as_the_output_of_the_job_says_but_those_for_agencies_get_no_watermark(cutter):
    work = InMemoryBlobs()
    files = (
        SQUARE,
        SQUARE.model_copy(update={"format": ImageFormat.PNG}),
        FileSpec(name="stock", size=SQUARE.size, is_for_stock=True),
    )
    mark = Watermark(text="draft")
    await put_spec(work, a_spec(*files, output=Output(watermark=mark, embeds_prompt=True)))
    await put_render(work, b"first")

    fact = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)

    assert fact is not None
    ((_, cuts),) = cutter.asked
    assert [(cut.format, cut.watermark, cut.prompt) for cut in cuts] == [
        (ImageFormat.WEBP, mark, PROMPT),
        (ImageFormat.PNG, mark, PROMPT),
        (ImageFormat.WEBP, None, PROMPT),
    ]
    assert [file.key.rpartition(".")[2] for file in fact.images[0].files] == ["webp", "png", "webp"]
    assert len({file.key for file in fact.images[0].files}) == 3
