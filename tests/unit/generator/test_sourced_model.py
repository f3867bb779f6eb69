"""The picture that a request begins with: found, decoded and brought to the size asked for."""

from dataclasses import replace

import pytest

from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Source, Verb
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture
from imagetron_generator.domain.work_format import pack
from imagetron_generator.usecases.inputs import SourceLost
from imagetron_generator.usecases.sourced_model import SourcedModel
from unit.generator.pictures import NoPicture, PlainPictures

KEY = "sources/1"
SIZE = Dimensions(width=4, height=2)
OURS = bytes(range(24))
VARIATION = RenderRequest(
    model="sdxl/anime",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=SIZE,
    steps=1,
    guidance_scale=1,
    verb=Verb.VARY,
    strength=0.4,
    origin=Source(key=KEY, strength=0.4),
)


class Desk:
    """A model behind a work store."""

    def __init__(self, work: InMemoryBlobs | None = None) -> None:
        self.model = InMemoryImageModel()
        self.work = work or InMemoryBlobs()
        self.pictures = PlainPictures()
        self.sourced = SourcedModel(self.model, self.work, self.pictures)

    async def source_given_to_the_model(self, data: bytes | None = None, **changes: object) -> SourcePicture | None:
        if data is not None:
            await self.work.put_if_absent(KEY, data, content_type="application/octet-stream")
        request = replace(VARIATION, **changes)  # type: ignore[arg-type]
        await self.sourced.render(request, lambda _step, _steps: None, deadline_seconds=9)
        (asked,) = self.model.requests
        assert self.model.deadlines == [9]
        assert replace(asked, source=None) == request
        return asked.source


async def test_a_render_of_ours_of_the_right_size_is_given_pixel_by_pixel():
    desk = Desk()

    assert await desk.source_given_to_the_model(pack(Rendered(OURS, SIZE, "x")).data) == SourcePicture(OURS, SIZE)
    assert not desk.pictures.resizings


async def test_a_picture_of_somebody_else_is_decoded():
    source = await Desk().source_given_to_the_model(b"picture 4x2")

    assert source == SourcePicture(bytes([128]) * 24, SIZE)


async def test_a_picture_of_another_shape_is_cut_around_its_middle_before_it_is_resized():
    desk = Desk()

    source = await desk.source_given_to_the_model(b"picture 40x40")

    assert desk.pictures.resizings == [("40x20", "4x2")]
    assert source is not None
    assert source.size == SIZE


async def test_a_picture_that_only_has_to_be_cut_is_not_resized():
    desk = Desk()

    source = await desk.source_given_to_the_model(b"picture 4x8")

    assert not desk.pictures.resizings
    assert source is not None
    assert source.size == SIZE


async def test_an_upscaling_gets_the_picture_as_it_is():
    desk = Desk()

    source = await desk.source_given_to_the_model(
        b"picture 3x2", verb=Verb.UPSCALE, size=Dimensions(width=12, height=8)
    )

    assert not desk.pictures.resizings
    assert source is not None
    assert source.size == Dimensions(width=3, height=2)


@pytest.mark.parametrize("changes", [{"origin": None}, {"verb": Verb.IMAGINE}, {"verb": Verb.REROLL}])
async def test_what_begins_with_no_picture_reads_none(changes):
    assert await Desk().source_given_to_the_model(None, **changes) is None


async def test_a_source_that_has_expired_is_lost_work():
    with pytest.raises(SourceLost) as caught:
        await Desk().source_given_to_the_model()

    assert caught.value.failure_code is FailureCode.WORK_LOST


async def test_a_store_that_is_away_and_a_file_that_is_no_picture_are_told_as_they_are():
    class AreAway(InMemoryBlobs):
        async def get(self, key: str) -> bytes:
            raise BlobsUnavailable(key)

    with pytest.raises(BlobsUnavailable):
        await Desk(AreAway()).source_given_to_the_model()
    with pytest.raises(NoPicture):
        await Desk().source_given_to_the_model(b"a text")


async def test_closing_closes_the_model():
    desk = Desk()
    desk.model.hold()

    await desk.sourced.close()

    await desk.source_given_to_the_model(b"picture 4x2")
