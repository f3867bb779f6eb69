"""`output` and `crop` of a submission: how the files are made, and what must stay in the pictures."""

from typing import Any

import pytest

from contract.api.counter import VARIATIONS, Counter, pointers, the_problem
from contract.api.test_images import derived, made
from contract.api.test_prompts import PROMPT
from imagetron_contracts import rpc
from imagetron_contracts.crops import Box, Misfit, Point, Subject
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import Output, Placement, Profile, RenderSpec, Watermark, spec_key
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.api.accepting import accepted_formats
from imagetron_gateway.domain.job import Job
from support.builders import a_model_health, a_variation_request

IMAGINE = "/api/images/imagine"
ZONE = {"left": 0.1, "top": 0.2, "right": 0.5, "bottom": 0.9}
THE_ZONE = Box(left=0.1, top=0.2, right=0.5, bottom=0.9)
WEBP, PNG, JPEG, AVIF = ImageFormat.WEBP, ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.AVIF


@pytest.fixture
async def counter(counter: Counter) -> Counter:
    counter.prompts.answer(rpc.GetPrompt, rpc.PromptShown(prompt=PROMPT))
    return counter


def a_request(path: str = VARIATIONS, **fields: Any) -> dict[str, Any]:
    """For square, landscape and facebook-og."""
    if path == VARIATIONS:
        return a_variation_request(**fields)
    return {"promptId": "prompt-1", "families": ["square", "landscape", "facebook"], **fields}


async def job_of(counter: Counter, path: str = VARIATIONS, *, accept: str = "*/*", **fields: Any) -> Job:
    answer = await counter.submit(a_request(path, **fields), path, Accept=accept)
    assert answer.status_code == 202, answer.text
    return await counter.job(answer.json()["id"])


async def objections(counter: Counter, path: str = VARIATIONS, **fields: Any) -> dict[str, str]:
    """Pointer -> what is said."""
    problem = the_problem(await counter.submit(a_request(path, **fields), path), 422, "invalid-request")
    assert await counter.stored() == 0
    return {error["pointer"]: error["detail"] for error in problem["errors"]}


async def spec_of(counter: Counter, job: Job) -> RenderSpec:
    await BlobSpecs(counter.work).write(job)
    return RenderSpec.model_validate_json(await counter.work.get(spec_key(job.id, job.revision)))


# What a job keeps, is shown and hands on


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
async def test_a_job_keeps_and_shows_what_was_asked_of_its_files(counter, path):
    output = {
        "formats": ["avif", "jpeg"],
        "profile": "fast",
        "watermark": {"text": "© 2026 Ägäis", "placement": "tiled"},
        "embedPrompt": True,
    }

    job = await job_of(counter, path, output=output)

    assert job.formats == (AVIF, JPEG)
    mark = Watermark(text="© 2026 Ägäis", placement=Placement.TILED)
    assert job.output == Output(profile=Profile.FAST, watermark=mark, embeds_prompt=True)
    assert (await counter.get(f"/api/jobs/{job.id}")).json()["output"] == output
    assert (await spec_of(counter, job)).output == job.output


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
async def test_a_job_whose_caller_says_nothing_has_webp_files_without_a_watermark_or_a_prompt(counter, path):
    job = await job_of(counter, path)

    assert (job.formats, job.output) == ((WEBP,), Output())
    shown = (await counter.get(f"/api/jobs/{job.id}")).json()
    assert shown["output"] == {"formats": ["webp"], "profile": "quality", "watermark": None, "embedPrompt": False}
    assert {family["subject"] for family in shown["families"].values()} == {None}
    spec = await spec_of(counter, job)
    assert spec.output is None
    assert {family.subject for family in spec.families.values()} == {None}


async def test_every_picture_of_the_spec_has_a_file_in_each_format_the_master_and_the_first_format_first(counter):
    job = await job_of(counter, families=["facebook-og"], output={"formats": ["jpeg", "webp"]})

    files = (await spec_of(counter, job)).families["facebook-og"].files

    assert [(file.name, file.format) for file in files] == [
        ("facebook-og", JPEG),
        ("facebook-og", WEBP),
        ("link-preview", JPEG),
        ("link-preview", WEBP),
        ("linkedin", JPEG),
        ("linkedin", WEBP),
    ]
    assert {str(file.size) for file in files if file.name == "linkedin"} == {"1200x627"}
    assert not any(file.is_for_stock for file in files)


async def test_a_watermark_lies_in_the_lower_right_corner_unless_another_place_is_said_and_loses_the_spaces_around_it(
    counter,
):
    job = await job_of(counter, output={"watermark": {"text": "  mine \n"}})

    assert job.output.watermark == Watermark(text="mine", placement=Placement.BOTTOM_RIGHT)


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
async def test_what_is_said_of_the_subject_holds_in_all_families_and_what_a_family_says_holds_there_instead(
    counter, path
):
    crop = {
        "safeZone": ZONE,
        "focalPoint": {"x": 0.3, "y": 0.5},
        "families": {"facebook": {"focalPoint": {"x": 1, "y": 0}, "misfit": "borrow"}, "landscape": {}},
    }

    job = await job_of(counter, path, crop=crop)

    for_all = Subject(safe_zone=THE_ZONE, focal_point=Point(x=0.3, y=0.5))
    own = Subject(focal_point=Point(x=1, y=0), misfit=Misfit.BORROW)
    subjects = {"square": for_all, "landscape": None, "facebook-og": own}
    assert {name: family.subject for name, family in job.families.items()} == subjects
    spec = await spec_of(counter, job)
    assert {name: family.subject for name, family in spec.families.items()} == subjects
    families = (await counter.get(f"/api/jobs/{job.id}")).json()["families"]
    assert families["square"]["subject"] == {"safeZone": ZONE, "focalPoint": {"x": 0.3, "y": 0.5}, "misfit": None}
    assert families["landscape"]["subject"] is None


@pytest.mark.parametrize("crop", [{}, {"families": {}}, {"safeZone": None, "misfit": None, "families": {"square": {}}}])
async def test_a_crop_that_says_nothing_leaves_everything_to_what_is_detected(counter, crop):
    job = await job_of(counter, crop=crop)

    assert {family.subject for family in job.families.values()} == {None}


async def test_the_smallest_safe_zone_is_a_hundredth_of_each_side(counter):
    zone = {"left": 0.1, "top": 0.99, "right": 0.11, "bottom": 1}

    job = await job_of(counter, crop={"safeZone": zone})

    assert job.families["square"].subject == Subject(safe_zone=Box(left=0.1, top=0.99, right=0.11, bottom=1))


# What is refused


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
@pytest.mark.parametrize(
    ("output", "pointer", "said"),
    [
        ({"formats": []}, "/output/formats", "at least 1"),
        ({"formats": ["gif"]}, "/output/formats/0", "'webp', 'png', 'jpeg' or 'avif'"),
        ({"formats": ["png", "png"]}, "/output/formats", "named twice: png"),
        ({"formats": ["png", "webp", "avif", "jpeg", "png"]}, "/output/formats", "names 5 formats; there are 4"),
        ({"formats": "png"}, "/output/formats", "list"),
        ({"profile": "slow"}, "/output/profile", "'quality' or 'fast'"),
        ({"embedPrompt": "yes"}, "/output/embedPrompt", "boolean"),
        ({"quality": 80}, "/output/quality", "unknown field"),
        ({"watermark": {}}, "/output/watermark/text", "is required"),
        ({"watermark": {"text": " \n "}}, "/output/watermark/text", "at least 1 character"),
        ({"watermark": {"text": "x" * 101}}, "/output/watermark/text", "at most 100 characters"),
        (
            {"watermark": {"text": "two\nlines"}},
            "/output/watermark/text",
            "one line of visible characters; remove U+000A",
        ),
        ({"watermark": {"text": "two\u2028lines"}}, "/output/watermark/text", "remove U+2028"),
        ({"watermark": {"text": "evil\u202elive"}}, "/output/watermark/text", "remove U+202E"),
        ({"watermark": {"text": "a\0b"}}, "/output/watermark/text", "NUL"),
        (
            {"watermark": {"text": "海の 🚀"}},
            "/output/watermark/text",
            "replace 海 (U+6D77), の (U+306E), 🚀 (U+1F680)",
        ),
        ({"watermark": {"text": "mine", "placement": "middle"}}, "/output/watermark/placement", "'centre'"),
        ({"watermark": {"text": "mine", "size": 3}}, "/output/watermark/size", "unknown field"),
        (None, "/output", "JSON object"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked_of_files_is_refused_and_the_field_and_the_fix_are_named(
    counter, path, output, pointer, said
):
    told = await objections(counter, path, output=output)

    assert list(told) == [pointer]
    assert said in told[pointer]


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
@pytest.mark.parametrize(
    ("crop", "pointer", "said"),
    [
        ({"safeZone": ZONE | {"left": -0.1}}, "/crop/safeZone/left", "greater than or equal to 0"),
        ({"safeZone": ZONE | {"bottom": 1.1}}, "/crop/safeZone/bottom", "less than or equal to 1"),
        ({"safeZone": ZONE | {"right": 0.05}}, "/crop/safeZone/right", "is 0.05, and left is 0.1: must be at least"),
        ({"safeZone": ZONE | {"right": 0.1}}, "/crop/safeZone/right", "must be at least 0.01 more than left"),
        ({"safeZone": ZONE | {"bottom": 0.2099}}, "/crop/safeZone/bottom", "must be at least 0.01 more than top"),
        ({"safeZone": ZONE | {"right": "0.5"}}, "/crop/safeZone/right", "number"),
        ({"safeZone": {name: ZONE[name] for name in ("left", "top", "right")}}, "/crop/safeZone/bottom", "is required"),
        ({"safeZone": ZONE | {"width": 1}}, "/crop/safeZone/width", "unknown field"),
        ({"focalPoint": {"x": 0.5}}, "/crop/focalPoint/y", "is required"),
        ({"focalPoint": {"x": 0.5, "y": True}}, "/crop/focalPoint/y", "number"),
        ({"misfit": "stretch"}, "/crop/misfit", "'cut', 'pad' or 'borrow'"),
        ({"gravity": "north"}, "/crop/gravity", "unknown field"),
        ({"families": []}, "/crop/families", "JSON object"),
        (
            {"families": {"square": {"focalPoint": {"x": 2, "y": 0}}}},
            "/crop/families/square/focalPoint/x",
            "or equal to 1",
        ),
        ({"families": {"square": {"families": {}}}}, "/crop/families/square/families", "unknown field"),
        ({"families": {"hero": {}}}, "/crop/families/hero", "not requested; use one of square, landscape, facebook-og"),
        ({"families": {"a/b": {}}}, "/crop/families/a~1b", "unknown family 'a/b': use one of square"),
        ({"families": {f"f{number}": {} for number in range(41)}}, "/crop/families", "names 41 families"),
        (
            {"families": {"facebook-og": {}, "social": {"misfit": "cut"}}},
            "/crop/families/social",
            "names facebook-og a second time (aliases count)",
        ),
        (None, "/crop", "JSON object"),
    ],
    ids=str,
)
async def test_what_cannot_be_said_of_a_subject_is_refused_and_the_field_and_the_fix_are_named(
    counter, path, crop, pointer, said
):
    told = await objections(counter, path, crop=crop)

    assert list(told) == [pointer]
    assert said in told[pointer]


async def test_every_family_that_is_not_requested_is_named_in_the_callers_own_word(counter):
    answer = await counter.submit(a_request(families=["square"], crop={"families": {"social": {}, "portrait": {}}}))

    assert pointers(the_problem(answer, 422)) == ["/crop/families/social", "/crop/families/portrait"]


@pytest.mark.parametrize("field", ["output", "crop"])
async def test_the_two_step_pipeline_takes_neither_and_makes_webp(counter, field):
    body = {"intent": "card", "rawPrompt": "ui", "finalPrompt": "a card"}
    refused = await counter.submit({**body, field: {}}, "/image/execute-prompt", Accept="image/avif")
    assert pointers(the_problem(refused, 422)) == [f"/{field}"]

    await counter.submit(body, "/image/execute-prompt", Accept="image/avif")

    [job] = (await counter.jobs.page(counter.principal, after=None, limit=2)).jobs
    assert (job.formats, job.output) == ((WEBP,), Output())


# The header Accept


@pytest.mark.parametrize(
    ("header", "formats"),
    [
        ("", ()),
        ("*/*", ()),
        ("application/json", ()),
        ("image/*", ()),
        ("image/avif", (AVIF,)),
        ("IMAGE/PNG ; Q=1.0", (PNG,)),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", (AVIF, WEBP)),
        ("image/webp;q=0.5, image/jpeg, image/png;q=0.9", (JPEG, PNG, WEBP)),
        ("image/webp, image/jpeg, image/webp", (WEBP, JPEG)),
        ("image/webp;q=0, image/jpeg;q=0.1", (JPEG,)),
        ("image/webp;level=1;q=0.2, image/png;q=0.3", (PNG,)),
        ("image/webp;q=much, image/png;q=nan, image/jpeg;q=7, image/avif;q=", ()),
        (",;,image/jpg,;q=1", ()),
    ],
)
def test_the_image_types_that_accept_names_are_wanted_in_the_order_of_their_weights(header, formats):
    assert accepted_formats(header) == formats


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
async def test_accept_chooses_the_formats_where_the_body_names_none(counter, path):
    job = await job_of(counter, path, accept="image/png;q=0.5, image/avif", output={"profile": "fast"})

    assert job.formats == (AVIF, PNG)
    assert job.output.profile is Profile.FAST


async def test_a_client_that_sends_every_documented_default_leaves_the_choice_to_accept(counter):
    schemas = counter.application.openapi()["components"]["schemas"]
    defaults = {
        name: {field: said["default"] for field, said in schemas[name]["properties"].items() if "default" in said}
        for name in ("VariationBody", "ImagineBody", "OutputBody")
    }
    assert "output" not in defaults["VariationBody"] | defaults["ImagineBody"]

    job = await job_of(counter, accept="image/avif", output=defaults["OutputBody"])

    assert job.formats == (AVIF,)


async def test_what_the_body_says_of_formats_goes_before_what_accept_says(counter):
    job = await job_of(counter, accept="image/avif", output={"formats": ["webp"]})

    assert job.formats == (WEBP,)


# Requests sent again


async def test_options_that_mean_the_same_are_one_request(counter):
    plain = a_request()
    same: list[dict[str, Any]] = [
        plain,
        plain | {"output": {}, "crop": {}},
        plain | {"output": {"formats": ["webp"], "profile": "quality", "watermark": None, "embedPrompt": False}},
        plain | {"crop": {"safeZone": None, "focalPoint": None, "misfit": None, "families": {}}},
    ]

    answers = [await counter.submit(body, Idempotency_Key="one") for body in same]

    assert [answer.status_code for answer in answers] == [202] * len(same), [answer.text for answer in answers]
    assert await counter.stored() == 1


async def test_a_family_by_another_of_its_names_and_a_null_there_are_no_other_request(counter):
    crop = {"families": {"facebook": {"focalPoint": {"x": 0, "y": 1}}}}
    same = {"families": {"facebook-og": {"focalPoint": {"x": 0.0, "y": 1.0}, "misfit": None}}}

    first = await counter.submit(a_request(crop=crop), Idempotency_Key="one")
    again = await counter.submit(a_request(crop=same), Idempotency_Key="one")

    assert (again.status_code, again.json()) == (202, first.json())


@pytest.mark.parametrize(
    "other",
    [
        {"output": {"formats": ["webp", "avif"]}},
        {"output": {"watermark": {"text": "mine"}}},
        {"output": {"embedPrompt": True}},
        {"crop": {"misfit": "cut"}},
        {"crop": {"families": {"square": {"misfit": "cut"}}}},
    ],
    ids=str,
)
async def test_another_option_under_the_same_key_is_another_request(counter, other):
    await counter.submit(a_request(), Idempotency_Key="one")

    the_problem(await counter.submit(a_request(**other), Idempotency_Key="one"), 422, "idempotency-key-reused")
    assert await counter.stored() == 1


@pytest.mark.parametrize("path", [VARIATIONS, IMAGINE])
async def test_formats_that_accept_chose_are_a_part_of_the_request_however_they_were_chosen(counter, path):
    first = await counter.submit(a_request(path), path, Accept="image/avif", Idempotency_Key="one")
    said = await counter.submit(a_request(path, output={"formats": ["avif"]}), path, Idempotency_Key="one")

    assert (said.status_code, said.json()) == (202, first.json())
    the_problem(await counter.submit(a_request(path), path, Idempotency_Key="one"), 422, "idempotency-key-reused")


# Jobs that are made of others

OPTIONS: dict[str, Any] = {
    "output": {"formats": ["jpeg", "avif"], "watermark": {"text": "mine"}},
    "crop": {"safeZone": ZONE, "misfit": "cut"},
}
SUBJECT = Subject(safe_zone=THE_ZONE, misfit=Misfit.CUT)
OUTPUT = Output(watermark=Watermark(text="mine"))


@pytest.mark.parametrize("verb", ["reroll", "vary", "upscale"])
async def test_what_is_made_of_an_image_has_its_formats_its_output_and_its_subject(counter, verb):
    await counter.report(a_model_health("preview"))

    job = await derived(counter, await made(counter, **OPTIONS), verb)

    assert (job.formats, job.output) == ((JPEG, AVIF), OUTPUT)
    spec = await spec_of(counter, job)
    assert spec.families["square"].subject == SUBJECT
    assert {file.format for file in spec.families["square"].files} == {JPEG, AVIF}


async def test_an_upscaled_picture_is_a_master_alone_in_every_format(counter):
    await counter.report(a_model_health("preview"))

    job = await derived(counter, await made(counter, **OPTIONS), "upscale")

    files = (await spec_of(counter, job)).families["square"].files
    assert [(file.name, file.format) for file in files] == [("square", JPEG), ("square", AVIF)]


async def test_a_variation_in_another_shape_knows_nothing_of_the_subjects_place(counter):
    await counter.report(a_model_health("preview"))

    job = await derived(counter, await made(counter, **OPTIONS), "vary", family="hero")

    assert job.families["hero"].subject is None
    assert (job.formats, job.output) == ((JPEG, AVIF), OUTPUT)


async def test_a_replay_has_the_formats_the_output_and_the_subjects_of_the_job(counter):
    original = await job_of(counter, **OPTIONS)

    copy = await counter.job((await counter.submit({}, f"/api/jobs/{original.id}/replay")).json()["id"])

    assert (copy.formats, copy.output) == (original.formats, original.output)
    assert {name: family.subject for name, family in copy.families.items()} == {
        name: family.subject for name, family in original.families.items()
    }
    assert copy.families["square"].subject == SUBJECT


async def test_a_regenerated_job_keeps_its_formats_its_output_and_its_subjects(counter):
    original = await job_of(counter, **OPTIONS)
    await counter.publish(original.id)

    assert (await counter.submit({}, f"{VARIATIONS}/{original.id}/regenerate?reseed=true")).status_code == 202

    job = await counter.job(original.id)
    assert job.revision == 2
    first, second = await spec_of(counter, original), await spec_of(counter, job)
    assert second.output == OUTPUT
    for name, family in first.families.items():
        assert second.families[name].files == family.files
        assert second.families[name].subject == family.subject == SUBJECT
