"""Pictures that do not hold their subject, cut from another family's render of the same image that does."""

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.crops import Box, Evidence, Fit, Misfit, Subject, Window
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import FileSpec
from imagetron_deriver.adapters.memory import InMemoryCutter
from imagetron_deriver.domain.subjects import Found, Region
from imagetron_deriver.ports import CutterDied, RenderUnreadable
from imagetron_deriver.usecases import derive_family
from unit.deriver.renders import RENDER, a_prefix, a_spec, derivatives_requested, put_render, put_spec
from unit.deriver.renders import renders_generated as renders

PORTRAIT = Dimensions(width=768, height=1344)
SQUARE = Dimensions(width=1024, height=1024)
MASTER = FileSpec(name="landscape", size=RENDER)
TALL = FileSpec(name="tall", size=Dimensions(width=384, height=672))
WIDE_ZONE = Subject(safe_zone=Box(left=0.1, top=0.3, right=0.9, bottom=0.7), misfit=Misfit.BORROW)


@pytest.fixture
async def work():
    store = InMemoryBlobs()
    await put_render(store, b"own")
    return store


@pytest.fixture
def cutter():
    return InMemoryCutter()


async def derived(message, work, cutter):
    fact = await derive_family(message, tries=1, work=work, cutter=cutter)
    assert fact is not None
    return fact.images[0]


async def test_a_picture_is_cut_from_the_render_that_holds_all_that_must_stay(work, cutter):
    await put_spec(work, a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"portrait": PORTRAIT}))
    await put_render(work, b"portrait", family="portrait")

    image = await derived(renders(), work, cutter)

    master, tall = image.files
    assert (master.crop.fit, master.crop.family) == (Fit.WHOLE, None)
    assert (tall.crop.fit, tall.crop.family) == (Fit.BORROWED, "portrait")
    assert tall.crop.window == Window(left=0, top=0, width=768, height=1344)
    assert [(render, len(cuts)) for render, cuts in cutter.asked] == [(b"own", 1), (b"portrait", 1)]
    assert tall.key.startswith(f"{a_prefix()}/files/")


async def test_without_a_render_that_holds_it_the_own_one_is_padded(work, cutter):
    await put_spec(work, a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"hero": Dimensions(width=1536, height=640)}))
    await put_render(work, b"hero", family="hero")

    image = await derived(renders(), work, cutter)

    tall = image.files[1].crop
    assert (tall.fit, tall.family, tall.evidence) == (Fit.PADDED, None, Evidence.SAFE_ZONE)
    assert tall.window.height > RENDER.height
    assert cutter.opened_renders == [b"own", b"hero", b"own"]


async def test_a_family_whose_render_is_not_there_lends_nothing(work, cutter):
    await put_spec(work, a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"portrait": PORTRAIT}))

    image = await derived(renders(), work, cutter)

    assert image.files[1].crop.fit is Fit.PADDED
    assert cutter.opened_renders == [b"own", b"own"]


@pytest.mark.parametrize("error", [RenderUnreadable("the render cannot be decoded"), CutterDied("killed")])
async def test_a_lender_whose_render_is_broken_does_not_sink_the_picture(work, cutter, error):
    await put_spec(work, a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"portrait": PORTRAIT}))
    await put_render(work, b"portrait", family="portrait")
    cutter.fail(b"portrait", error)

    image = await derived(renders(), work, cutter)

    assert image.files[1].crop.fit is Fit.PADDED


async def test_a_lenders_render_of_another_size_than_the_spec_promises_is_not_taken(work, cutter):
    await put_spec(work, a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"portrait": PORTRAIT}))
    await put_render(work, b"portrait", family="portrait")
    cutter.measure(b"portrait", SQUARE)

    assert (await derived(renders(), work, cutter)).files[1].crop.fit is Fit.PADDED


async def test_the_newest_attempts_render_is_the_one_that_is_lent(work, cutter):
    await put_spec(work, a_spec(TALL, subject=WIDE_ZONE, others={"portrait": PORTRAIT}))
    await put_render(work, b"older", family="portrait", attempt=1)
    await put_render(work, b"newer", family="portrait", attempt=3)

    await derived(renders(), work, cutter)

    assert [render for render, _ in cutter.asked] == [b"newer"]


async def test_each_picture_has_the_first_lender_in_the_specs_order_that_holds_it(work, cutter):
    squarish = FileSpec(name="squarish", size=Dimensions(width=500, height=500))
    zone = Subject(safe_zone=Box(left=0, top=0.2, right=1, bottom=0.8), misfit=Misfit.BORROW)
    await put_spec(work, a_spec(TALL, squarish, subject=zone, others={"square": SQUARE, "portrait": PORTRAIT}))
    await put_render(work, b"square", family="square")
    await put_render(work, b"portrait", family="portrait")

    image = await derived(renders(), work, cutter)

    assert [file.crop.family for file in image.files] == ["portrait", "square"]


async def test_faces_are_borrowed_for_too_where_somebody_asks_for_it(work, cutter):
    await put_spec(work, a_spec(TALL, subject=Subject(misfit=Misfit.BORROW), others={"portrait": PORTRAIT}))
    await put_render(work, b"portrait", family="portrait")
    cutter.find(b"own", Found("twin 1", (Region(0.1, 0.2, 0.9, 0.8),)))
    cutter.find(b"portrait", Found("twin 1", (Region(0.1, 0.2, 0.9, 0.4),)))

    image = await derived(renders(), work, cutter)

    assert (image.files[0].crop.fit, image.files[0].crop.family) == (Fit.BORROWED, "portrait")
    assert len(image.detection.faces) == 1
    assert image.detection.faces[0].bottom == 0.8


async def test_what_was_found_in_the_lenders_render_is_kept_for_its_own_family(work, cutter):
    near_portrait = Dimensions(width=800, height=1344)
    await put_spec(work, a_spec(TALL, subject=WIDE_ZONE, others={"portrait": near_portrait}))
    await put_render(work, b"portrait", family="portrait")

    await derived(renders(), work, cutter)

    assert cutter.looked_at == [b"own", b"portrait"]
    assert await work.head(f"{a_prefix(family='portrait')}/detection.json") is not None


async def test_nothing_is_borrowed_unless_it_is_asked_for(work, cutter):
    zone = WIDE_ZONE.model_copy(update={"misfit": None})
    await put_spec(work, a_spec(TALL, subject=zone, others={"portrait": PORTRAIT}))
    await put_render(work, b"portrait", family="portrait")

    image = await derived(renders(), work, cutter)

    assert image.files[0].crop.fit is Fit.PADDED
    assert cutter.opened_renders == [b"own"]


async def test_cutting_again_borrows_as_its_own_request_says(work, cutter):
    await put_spec(work, a_spec(TALL, others={"portrait": PORTRAIT}))
    await put_render(work, b"portrait", family="portrait")

    image = await derived(derivatives_requested(subject=WIDE_ZONE), work, cutter)

    assert image.files[0].crop.family == "portrait"


async def test_what_was_said_of_one_render_is_not_laid_over_another(work, cutter):
    zone = Subject(safe_zone=Box(left=0.0, top=0.2, right=0.5, bottom=0.8))
    lender = a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"square": SQUARE})
    square = lender.families["square"].model_copy(update={"subject": zone})
    await put_spec(work, lender.model_copy(update={"families": {**lender.families, "square": square}}))
    await put_render(work, b"square", family="square")

    tall = (await derived(renders(), work, cutter)).files[1].crop

    assert (tall.fit, tall.family, tall.evidence) == (Fit.BORROWED, "square", Evidence.SAFE_ZONE)
    assert tall.window.left == 0


async def test_a_render_of_which_nothing_is_known_that_must_stay_lends_only_the_whole_of_itself(work, cutter):
    await put_spec(work, a_spec(MASTER, TALL, subject=WIDE_ZONE, others={"square": SQUARE}))
    await put_render(work, b"square", family="square")

    tall = (await derived(renders(), work, cutter)).files[1].crop

    assert (tall.fit, tall.family) == (Fit.PADDED, None)
