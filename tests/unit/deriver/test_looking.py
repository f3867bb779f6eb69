"""When a render is looked at, what is kept of it, and what the pictures' owner is told."""

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.crops import Box, Evidence, Fit, Subject, Window
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import FileSpec
from imagetron_deriver.adapters.memory import InMemoryCutter
from imagetron_deriver.domain.subjects import PROFILE_BINS, Found, Region
from imagetron_deriver.usecases import derive_family
from unit.deriver.renders import RENDER, a_prefix, a_spec, an_image, derivatives_requested, put_render, put_spec
from unit.deriver.renders import renders_generated as renders

SQUARE = FileSpec(name="square", size=Dimensions(width=768, height=768))
WHOLE = FileSpec(name="whole", size=RENDER)
DETECTION = f"{a_prefix()}/detection.json"
EVEN = (1 / PROFILE_BINS,) * PROFILE_BINS
AT_THE_RIGHT = Found("twin 1", (Region(0.8, 0.3, 0.95, 0.7),), EVEN, EVEN)


@pytest.fixture
async def work():
    store = InMemoryBlobs()
    await put_render(store, b"first")
    return store


@pytest.fixture
def cutter():
    twin = InMemoryCutter()
    twin.find(b"first", AT_THE_RIGHT)
    return twin


async def derived(message, work, cutter):
    fact = await derive_family(message, tries=1, work=work, cutter=cutter)
    assert fact is not None
    return fact.images[0]


async def test_a_window_follows_what_is_found_and_both_are_told(work, cutter):
    await put_spec(work, a_spec(SQUARE))

    image = await derived(renders(), work, cutter)

    crop = image.files[0].crop
    assert crop is not None
    assert (crop.evidence, crop.fit, crop.family) == (Evidence.FACES, Fit.WHOLE, None)
    assert crop.window == Window(left=576, top=0, width=768, height=768)
    assert cutter.asked[0][1][0].window.box == (576, 0, 1344, 768)
    assert image.detection == AT_THE_RIGHT.as_detection()
    assert image.detection.faces == (Box(left=0.8, top=0.3, right=0.95, bottom=0.7),)


async def test_a_render_is_opened_once_for_looking_and_cutting(work, cutter):
    await put_spec(work, a_spec(SQUARE, WHOLE))

    await derived(renders(), work, cutter)

    assert cutter.opened_renders == [b"first"]
    assert cutter.looked_at == [b"first"]
    assert [len(cuts) for _, cuts in cutter.asked] == [2]


async def test_nobody_looks_where_every_picture_shows_the_whole_render(work, cutter):
    await put_spec(work, a_spec(WHOLE))

    image = await derived(renders(), work, cutter)

    assert cutter.looked_at == []
    assert image.detection is None
    assert await work.head(DETECTION) is None
    assert image.files[0].crop.window == Window(left=0, top=0, width=RENDER.width, height=RENDER.height)


async def test_what_was_found_is_kept_beside_the_render_and_looked_for_no_second_time(work, cutter):
    await put_spec(work, a_spec(SQUARE))
    first = await derived(renders(), work, cutter)
    cutter.find(b"first", Found("twin 2"))

    again = await derived(derivatives_requested(), work, cutter)

    assert cutter.looked_at == [b"first"]
    assert again.detection == first.detection
    assert again.files == first.files


async def test_cutting_again_finds_what_was_found_in_the_render_of_an_earlier_attempt(work, cutter):
    await put_spec(work, a_spec(SQUARE))
    first = await derived(renders(), work, cutter)

    again = await derived(derivatives_requested(an_image(attempt=1), attempt=2), work, cutter)

    assert cutter.looked_at == [b"first"]
    assert again.detection == first.detection
    assert again.files[0].key.startswith(f"{a_prefix(attempt=2)}/files/")


async def test_a_render_is_looked_at_again_when_what_was_kept_cannot_be_read(work, cutter):
    await put_spec(work, a_spec(SQUARE))
    await work.put_if_absent(DETECTION, b'{"detector": "twin 1", "faces": 3}', content_type="application/json")

    image = await derived(renders(), work, cutter)

    assert cutter.looked_at == [b"first"]
    assert image.detection == AT_THE_RIGHT.as_detection()


async def test_what_the_caller_says_of_the_subject_goes_before_what_is_found(work, cutter):
    at_the_left = Subject(safe_zone=Box(left=0, top=0, right=0.2, bottom=1))
    await put_spec(work, a_spec(SQUARE, subject=at_the_left))

    image = await derived(renders(), work, cutter)

    crop = image.files[0].crop
    assert (crop.evidence, crop.window.left) == (Evidence.SAFE_ZONE, 0)
