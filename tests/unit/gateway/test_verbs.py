"""What may be done with an image by its state, how its id is written, and how much larger an upscaled one becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import ParentImage, Verb
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.image_ids import image_at, image_id, parse_image_id
from imagetron_gateway.domain.job import Image, ImageStatus, PublishedFamily
from imagetron_gateway.domain.verbs import ALLOWED, STOCK_PIXELS, Mode, enlarged, objection_to, verbs_for
from support.builders import NOW, a_job, family_published, url_of

VERBS = (Verb.REROLL, Verb.VARY, Verb.UPSCALE)
TABLE = {
    ImageStatus.WAITING: "",
    ImageStatus.RENDERED: "",
    ImageStatus.DERIVED: "",
    ImageStatus.FAILED: "reroll",
    ImageStatus.PUBLISHED: "reroll vary upscale",
}


@pytest.mark.parametrize("status", ImageStatus)
@pytest.mark.parametrize("verb", VERBS)
def test_the_state_of_an_image_says_what_may_be_done_with_it(status, verb):
    objection = objection_to(a_job(), Image(index=0, seed=1, status=status), verb)

    assert (objection is None) == (verb.value in TABLE[status].split())
    assert objection is None or objection.startswith(f"the image is {status.value}; ")


def test_an_image_on_its_way_is_to_be_waited_for_and_a_failed_one_can_be_rerolled():
    assert objection_to(a_job(), Image(index=0, seed=1), Verb.VARY) == "the image is waiting; wait until it has ended"
    failed = Image(index=0, seed=1, status=ImageStatus.FAILED)
    assert objection_to(a_job(), failed, Verb.UPSCALE) == "the image is failed; what can be done with it: reroll"


def test_of_an_upscaled_image_only_variations_are_made():
    upscaled = a_job().model_copy(update={"verb": Verb.UPSCALE})
    image = Image(index=0, seed=1, status=ImageStatus.PUBLISHED)

    assert verbs_for(upscaled, image) == [Verb.VARY]
    assert "upscale the image that it was made from" in (objection_to(upscaled, image, Verb.UPSCALE) or "")


def test_every_state_has_its_row():
    assert ALLOWED.keys() == set(ImageStatus) == TABLE.keys()


def test_a_subtle_variation_stays_nearer_than_a_strong_one():
    assert 0 < Mode.SUBTLE.strength < 0.5 < Mode.STRONG.strength < 1


@pytest.mark.parametrize(
    ("family", "source", "master", "render"),
    [
        ("square", "1024x1024", "2048x2048", "2048x2048"),
        ("landscape", "1344x768", "3840x2160", "4032x2304"),
        ("portrait", "768x1344", "2160x3840", "2304x4032"),
        ("hero", "1536x640", "5120x2194", "6144x2560"),
        ("facebook-og", "1344x768", "3600x1884", "4032x2304"),
        # From the published master, when the render is gone.
        ("landscape", "1920x1080", "3840x2160", "3840x2160"),
    ],
)
def test_without_a_factor_the_master_gets_the_pixels_that_agencies_ask_for(family, source, master, render):
    width, height = map(int, source.split("x"))
    sizes = enlarged(FAMILIES[family].master, Dimensions(width=width, height=height))

    assert sizes is not None
    assert (str(sizes.master), str(sizes.render)) == (master, render)
    assert sizes.master.width * sizes.master.height >= STOCK_PIXELS


def test_a_factor_is_taken_as_it_is_and_what_cannot_be_kept_is_refused():
    square = Dimensions(width=1024, height=1024)

    assert str(enlarged(square, square, 4).master) == "4096x4096"  # type: ignore[union-attr]
    assert enlarged(FAMILIES["hero"].master, Dimensions(width=1536, height=640), 4) is None


def test_a_master_too_small_for_agencies_gets_the_largest_factor_that_there_is():
    sizes = enlarged(Dimensions(width=300, height=200), Dimensions(width=1216, height=832))

    assert sizes is not None
    assert (str(sizes.master), str(sizes.render)) == ("1200x800", "1216x832")


@given(
    family=st.sampled_from(sorted(FAMILIES)),
    width=st.integers(64, 4096),
    height=st.integers(64, 4096),
    factor=st.sampled_from([None, 2, 3, 4]),
)
def test_an_enlarged_picture_is_a_whole_multiple_of_its_source_that_the_master_can_be_cut_from(
    family, width, height, factor
):
    sizes = enlarged(FAMILIES[family].master, Dimensions(width=width, height=height), factor)

    if sizes is not None:
        times = sizes.render.width // width
        assert (sizes.render.width, sizes.render.height) == (width * times, height * times)
        assert sizes.render.width >= sizes.master.width
        assert sizes.render.height >= sizes.master.height


@pytest.mark.parametrize("family", ["facebook-og", "Pin_2x3", "1_2_3"])
def test_an_id_names_job_revision_family_and_index(family):
    job = a_job()
    place = ParentImage(job_id=job.id, revision=3, family=family, index=2)

    written = image_id(place.job_id, place.revision, place.family, place.index)

    assert written == f"img_{job.id.replace('-', '')}_3_{family}_2"
    assert parse_image_id(written) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "img_",
        "img_0190a5b73c4d7e8fa1b2c3d4e5f60718_0_square_0",
        "img_0190a5b73c4d7e8fa1b2c3d4e5f60718_1__0",
        "img_0190a5b73c4d7e8fa1b2c3d4e5f60718_1_a.b_0",
        "img_0190a5b73c4d7e8fa1b2c3d4e5f60718_1_square_10",
        "img_0190A5B73C4D7E8FA1B2C3D4E5F60718_1_square_0",
        "img_0190a5b73c4d7e8fa1b2c3d4e5f60718_1_square_0\n",
        "src_0190a5b73c4d7e8fa1b2c3d4e5f60718",
    ],
)
def test_what_is_no_id_of_an_image_names_nothing(text):
    assert parse_image_id(text) is None


def test_an_image_is_found_in_the_current_revision_and_in_the_one_that_names_still_point_to():
    job = a_job()
    old = Image(index=0, seed=9, status=ImageStatus.PUBLISHED)
    job = job.model_copy(update={"revision": 2, "published": {"square": PublishedFamily(revision=1, images=(old,))}})

    def at(revision: int, index: int = 0, family: str = "square") -> Image | None:
        return image_at(job, ParentImage(job_id=job.id, revision=revision, family=family, index=index))

    assert at(2) == job.families["square"].images[0]
    assert at(1) == old
    assert at(3) is None
    assert at(2, index=7) is None
    assert at(1, family="portrait") is None


def test_a_delivered_image_is_charged_once_and_a_failed_one_never():
    job = a_job()
    priced = {name: family.model_copy(update={"price_micros": 12_500}) for name, family in job.families.items()}
    job = job.model_copy(update={"families": priced})
    for name in job.families:
        admitted = saga.admit(job, name, NOW)
        assert admitted is not None
        job = admitted.job
    published = family_published(job, "square")

    first = saga.apply(job, published, NOW, url_of)
    assert first is not None
    assert first.job.cost.actual_micros == 12_500 * len(published.images)
    again = saga.apply(first.job, published, NOW, url_of)
    assert (again.job if again else first.job).cost == first.job.cost
