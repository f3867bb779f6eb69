"""Each image by itself, and what is made from it: reroll, vary, upscale, with lineage, sources and prices."""

from datetime import timedelta
from typing import Any

import pytest

from contract.api.counter import ANNA, BASE, VARIATIONS, Counter, opened, pointers, the_problem
from imagetron_chassis.principals import Principal
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import RenderSpec, Verb, spec_key
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.domain.image_ids import image_id
from imagetron_gateway.domain.job import ImageStatus, Job, JobKind, Policy
from imagetron_gateway.domain.sources import Pixels, new_source
from support.builders import (
    NOW,
    a_model_health,
    a_variation_request,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
)

IMAGES = "/api/images"
BOB = Principal(owner="bob", scopes=frozenset({"*"}))


@pytest.fixture
async def counter(counter: Counter) -> Counter:
    await counter.report(a_model_health("preview"))
    return counter


async def submitted(counter: Counter, *families: str, generation: dict[str, Any] | None = None, **fields: Any) -> str:
    answer = await counter.submit(a_variation_request(generation, families=list(families or ("square",)), **fields))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def made(counter: Counter, family: str = "square", *, keeps_render: bool = True, **options: Any) -> str:
    """The id of a published image, whose render still lies in the work store, or does not."""
    job = await counter.job(await submitted(counter, family, **options))
    renders = renders_generated(job, family)
    if keeps_render:
        await counter.work.put_if_absent(renders.images[0].key, b"pixels", content_type="image/x-portable-pixmap")
    await counter.play(job.id, renders, derivatives_rendered(job, family))
    await counter.publish(job.id)
    return image_id(job.id, 1, family, 0)


async def derived(counter: Counter, image: str, verb: str, **body: Any) -> Job:
    answer = await counter.submit(body, f"{IMAGES}/{image}/{verb}")
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"{BASE}{VARIATIONS}/{answer.json()['id']}"
    return await counter.job(answer.json()["id"])


async def spec_of(counter: Counter, job: Job) -> RenderSpec:
    await BlobSpecs(counter.work).write(job)
    return RenderSpec.model_validate_json(await counter.work.get(spec_key(job.id, job.revision)))


async def test_an_image_says_all_that_is_known_of_it(counter):
    image = await made(counter)

    answer = await counter.get(f"{IMAGES}/{image}")

    shown = answer.json()
    assert (shown["id"], shown["status"], shown["verbs"]) == (image, "published", ["reroll", "vary", "upscale"])
    assert shown["url"].startswith("https://cdn.example.com/")
    assert (shown["model"], shown["servedBy"], shown["provider"]) == ("photorealistic", "preview", "triton")
    assert shown["size"] == {"width": 1024, "height": 1024}
    assert (shown["priceUsd"], shown["lineage"]) == (0.0, None)


async def test_images_are_listed_newest_job_first_with_a_cursor(counter):
    first = await submitted(counter, "square", "hero")
    counter.clock.advance(1)
    answer = await counter.submit(a_variation_request(name="another", families=["portrait"]))

    page = (await counter.get(f"{IMAGES}?limit=1")).json()
    rest = (await counter.get(f"{IMAGES}?limit=1&after={page['next']}")).json()

    assert [(item["job"], item["family"]) for item in page["items"]] == [(answer.json()["id"], "portrait")]
    assert [(item["job"], item["family"]) for item in rest["items"]] == [(first, "square"), (first, "hero")]
    assert rest["items"][0]["verbs"] == []
    assert rest["items"][0]["url"] is None


@pytest.mark.parametrize("verb", ["", "/reroll", "/vary", "/upscale"])
@pytest.mark.parametrize("image", ["nonsense", f"img_{'0' * 32}_1_square_0", "src_" + "0" * 32])
async def test_an_image_that_is_not_there_is_not_found(counter, image, verb):
    path = f"{IMAGES}/{image}{verb}"

    the_problem(await (counter.submit({}, path) if verb else counter.get(path)), 404, "not-found")


@pytest.mark.parametrize("verb", ["", "/reroll", "/vary", "/upscale"])
async def test_somebody_elses_image_is_not_found(counter, verb):
    image = await made(counter)
    counter.principal = BOB
    path = f"{IMAGES}/{image}{verb}"

    the_problem(await (counter.submit({}, path) if verb else counter.get(path)), 404, "not-found")
    counter.principal = ANNA
    assert await counter.stored() == 1


@pytest.mark.parametrize("verb", ["reroll", "vary", "upscale"])
async def test_an_image_on_its_way_is_to_be_waited_for(counter, verb):
    job_id = await submitted(counter)

    problem = the_problem(
        await counter.submit({}, f"{IMAGES}/{image_id(job_id, 1, 'square', 0)}/{verb}"), 409, "not-allowed"
    )

    assert problem["detail"] == "the image is waiting; wait until it has ended"
    assert await counter.stored() == 1


async def test_a_failed_image_can_be_rerolled_and_nothing_else(counter):
    job = await counter.job(await submitted(counter))
    await counter.play(job.id, stage_failed(job))
    image = image_id(job.id, 1, "square", 0)

    assert (await counter.get(f"{IMAGES}/{image}")).json()["verbs"] == ["reroll"]
    the_problem(await counter.submit({}, f"{IMAGES}/{image}/vary"), 409, "not-allowed")
    assert (await derived(counter, image, "reroll")).verb is Verb.REROLL


async def test_a_reroll_has_the_same_inputs_and_other_seeds(counter):
    image = await made(counter)
    parent = await counter.job((await counter.get(f"{IMAGES}/{image}")).json()["job"])

    job = await derived(counter, image, "reroll", images=2)

    assert (job.kind, job.verb, job.final_prompt) == (JobKind.DERIVED, Verb.REROLL, parent.final_prompt)
    assert (job.negative_prompt, job.parameters.steps) == (parent.negative_prompt, parent.parameters.steps)
    assert job.parameters.seed != parent.parameters.seed
    assert len(job.families["square"].images) == 2
    shown = (await counter.get(f"{IMAGES}/{image_id(job.id, 1, 'square', 1)}")).json()
    assert shown["lineage"] == {
        "verb": "reroll",
        "parentImage": image,
        "parentJob": parent.id,
        "source": None,
        "mode": None,
    }
    spec = await spec_of(counter, job)
    assert (spec.verb, spec.source) == (Verb.REROLL, None)
    assert spec.parent is not None
    assert spec.parent.job_id == parent.id


async def test_a_chosen_seed_is_taken(counter):
    job = await derived(counter, await made(counter), "reroll", seed=5, images=1, name="second-try")

    assert (job.parameters.seed, job.name) == (5, "second-try")


@pytest.mark.parametrize(("mode", "strength"), [("subtle", 0.35), ("strong", 0.7)])
async def test_a_variation_begins_with_the_images_lossless_render(counter, mode, strength):
    image = await made(counter, "hero")

    job = await derived(counter, image, "vary", mode=mode)

    spec = await spec_of(counter, job)
    assert spec.verb is Verb.VARY
    assert spec.source is not None
    assert spec.source.key.endswith("/hero/1/0/render")
    assert spec.source.strength == strength
    assert list(spec.families) == ["hero"]
    assert len(spec.families["hero"].seeds) == 4
    assert job.lineage is not None
    assert job.lineage.mode == mode


async def test_where_the_render_has_expired_the_published_master_is_taken(counter):
    image = await made(counter, keeps_render=False)

    source = (await spec_of(counter, await derived(counter, image, "vary"))).source

    assert source is not None
    assert source.key == f"sources/{image}/master"
    assert (await counter.work.get(source.key)).startswith(b"pixels of ")


async def test_of_a_master_in_several_formats_one_is_taken_that_workers_read(counter):
    image = await made(counter, keeps_render=False, output={"formats": ["avif", "jpeg"]})

    source = (await spec_of(counter, await derived(counter, image, "vary"))).source

    assert source is not None
    assert (await counter.work.get(source.key)).endswith(b".jpg")


async def test_a_master_that_no_worker_reads_is_none(counter):
    image = await made(counter, keeps_render=False, output={"formats": ["avif"]})

    problem = the_problem(await counter.submit({}, f"{IMAGES}/{image}/vary"), 409, "not-allowed")

    assert problem["detail"] == f"the pixels of {image} are no longer kept"


async def test_a_watermark_is_never_varied_or_enlarged(counter):
    image = await made(counter, keeps_render=False, output={"watermark": {"text": "example.com"}})

    for verb in ("vary", "upscale"):
        problem = the_problem(await counter.submit({}, f"{IMAGES}/{image}/{verb}"), 409, "not-allowed")

        assert problem["detail"] == f"the render of {image} is no longer kept, and its files carry a watermark"


async def test_while_its_render_is_kept_a_watermarked_image_can_be_varied(counter):
    image = await made(counter, output={"watermark": {"text": "example.com"}})

    source = (await spec_of(counter, await derived(counter, image, "vary"))).source

    assert source is not None
    assert source.key.endswith("/render")


async def test_an_image_whose_pixels_are_gone_altogether_cannot_be_varied(counter):
    image = await made(counter, keeps_render=False)
    job = await counter.job((await counter.get(f"{IMAGES}/{image}")).json()["job"])
    for file in job.families["square"].images[0].files:
        await counter.public.delete(file.key)

    problem = the_problem(await counter.submit({}, f"{IMAGES}/{image}/vary"), 409, "not-allowed")

    assert problem["detail"] == f"the pixels of {image} are no longer kept"


async def test_a_variation_may_have_another_prompt_shape_and_model(counter):
    image = await made(counter)

    job = await derived(
        counter,
        image,
        "vary",
        prompt="the same, at night",
        family="landscape",
        images=1,
        generation={"model": "anime", "inferenceSteps": 12, "negativePrompt": "stars"},
    )

    assert (job.final_prompt, job.negative_prompt, job.model) == ("the same, at night", "stars", "anime")
    assert (list(job.families), job.parameters.steps) == (["landscape"], 12)


async def test_rerolling_a_variation_varies_the_same_source_again(counter):
    variation = await derived(counter, await made(counter), "vary", images=1)
    await counter.publish(variation.id)

    again = await derived(counter, image_id(variation.id, 1, "square", 0), "reroll")

    assert (again.verb, again.source) == (Verb.VARY, variation.source)
    assert again.lineage is not None
    assert again.lineage.verb is Verb.REROLL


async def test_an_upscaled_picture_has_four_megapixels_and_no_derivatives(counter):
    image = await made(counter, "landscape")

    job = await derived(counter, image, "upscale")

    spec = await spec_of(counter, job)
    assert (spec.verb, spec.provider, spec.served_by) == (Verb.UPSCALE, "triton", "upscaler")
    family = spec.families["landscape"]
    # The render of these tests is a square of 1024: four times covers 3840x2160.
    assert family.render == Dimensions(width=4096, height=4096)
    assert [(file.name, str(file.size)) for file in family.files] == [("landscape", "3840x2160")]
    assert job.lineage is not None
    assert job.lineage.mode == "2x"
    assert job.cost.estimated_micros == 45_000


async def test_an_upscaled_picture_is_never_delayed_for_want_of_a_model(counter):
    job = await derived(counter, await made(counter), "upscale", factor=2)

    assert (await counter.get(f"/api/jobs/{job.id}")).json()["delayed"] is None


async def test_what_would_be_too_large_is_refused(counter):
    image = await made(counter, "hero")

    problem = the_problem(await counter.submit({"factor": 4}, f"{IMAGES}/{image}/upscale"), 422)

    assert pointers(problem) == ["/factor"]


async def test_one_key_makes_one_job(counter):
    image = await made(counter)
    path = f"{IMAGES}/{image}/reroll"

    first = await counter.submit({"images": 1}, path, Idempotency_Key="one")
    again = await counter.submit({"images": 1}, path, Idempotency_Key="one")

    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    the_problem(await counter.submit({"images": 2}, path, Idempotency_Key="one"), 422)
    assert await counter.stored() == 2


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("reroll", {"images": 0}, "/images"),
        ("reroll", {"images": 6}, "/images"),
        ("reroll", {"images": "3"}, "/images"),
        ("reroll", {"images": True}, "/images"),
        ("reroll", {"seed": -1}, "/seed"),
        ("reroll", {"seed": 2**63}, "/seed"),
        ("reroll", {"mode": "subtle"}, "/mode"),
        ("reroll", {"name": "models"}, "/name"),
        ("vary", {"mode": "wild"}, "/mode"),
        ("vary", {"prompt": "  "}, "/prompt"),
        ("vary", {"prompt": "x" * 4001}, "/prompt"),
        ("vary", {"family": "round"}, "/family"),
        ("vary", {"generation": {"model": "nobody"}}, "/generation/model"),
        ("vary", {"generation": {"inferenceSteps": 61}}, "/generation/inferenceSteps"),
        ("vary", {"generation": {"model": "upscaler"}}, "/generation/model"),
        ("upscale", {"factor": 1}, "/factor"),
        ("upscale", {"factor": 5}, "/factor"),
        ("upscale", {"factor": 2.5}, "/factor"),
        ("upscale", {"images": 2}, "/images"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_stored(counter, verb, body, pointer):
    image = await made(counter)

    problem = the_problem(await counter.submit(body, f"{IMAGES}/{image}/{verb}"), 422)

    assert pointer in pointers(problem)
    assert await counter.stored() == 1


async def uploaded(counter: Counter, principal: Principal = ANNA) -> str:
    pixels = Pixels(b"\0" * (64 * 64 * 3), Dimensions(width=64, height=64), "ab" * 32)
    source = new_source(
        pixels,
        new_id="0123456789abcdef" * 2,
        owner=principal.owner,
        now=NOW,
        kept=timedelta(days=1),
        idempotency=None,
    )
    await counter.sources.add(source, b"P6", principal)
    return source.id


async def test_an_uploaded_picture_is_varied_with_a_prompt_of_its_callers(counter):
    source = await uploaded(counter)

    job = await derived(counter, source, "vary", prompt="as an oil painting", family="hero", images=1)

    spec = await spec_of(counter, job)
    assert spec.source is not None
    assert (await counter.work.get(spec.source.key)) == b"P6"
    assert (spec.prompt, spec.parent, list(spec.families)) == ("as an oil painting", None, ["hero"])
    [image] = (await counter.get(f"{IMAGES}?limit=1")).json()["items"]
    assert image["lineage"]["source"] == source


async def test_an_uploaded_picture_needs_a_prompt_and_its_owner(counter):
    source = await uploaded(counter)

    assert pointers(the_problem(await counter.submit({}, f"{IMAGES}/{source}/vary"), 422)) == ["/prompt"]
    counter.principal = BOB
    the_problem(await counter.submit({"prompt": "a cat"}, f"{IMAGES}/{source}/vary"), 404)


async def test_the_policy_holds_for_what_is_made_of_an_image():
    async with opened(Counter(policy=Policy(negative_prompt="weapons"))) as counter:
        await counter.report(a_model_health("preview"))
        image = await made(counter)

        job = await derived(counter, image, "reroll")
        problem = the_problem(await counter.submit({"generation": {"model": "turbo"}}, f"{IMAGES}/{image}/vary"), 422)

    assert job.policy.negative_prompt == "weapons"
    assert pointers(problem) == ["/generation/model"]


class TestFallback:
    """The model asked for cannot serve; another provider's may, where the caller says so."""

    @pytest.fixture
    async def strict(self):
        async with opened(Counter(stand_in=None)) as counter:
            yield counter

    async def test_without_the_callers_leave_nobody_takes_over(self, strict):
        await strict.report(a_model_health("gpt-image-2"))

        the_problem(await strict.submit(a_variation_request({"negativePrompt": ""})), 503, "model-unavailable")
        assert await strict.stored() == 0

    async def test_with_it_the_fallback_serves_with_its_own_parameters_sizes_and_price(self, strict):
        await strict.report(a_model_health("gpt-image-2"))
        body = a_variation_request({"negativePrompt": "", "allowFallback": True}, families=["landscape"])

        job = await strict.job((await strict.submit(body)).json()["id"])

        assert (job.model, job.provider, job.served_by) == ("photorealistic", "openai", "gpt-image-2")
        assert (job.parameters.steps, job.parameters.seed) == (1, 1234567890)
        assert str(job.families["landscape"].render) == "1536x864"
        assert job.cost.estimated_micros == 63_000
        assert [line.detail for line in job.history if line.what == "failed_over"] == ["gpt-image"]
        assert job.fallback is None
        again = await derived_of(strict, job)
        assert (again.model, again.provider, again.parameters.steps) == ("photorealistic", "openai", 1)

    async def test_while_the_model_serves_the_fallback_only_stands_by(self, strict):
        await strict.report(a_model_health("gpt-image-2"), a_model_health("sdxl/photorealistic"))
        body = a_variation_request({"negativePrompt": "", "allowFallback": True}, families=["square"])

        job = await strict.job((await strict.submit(body)).json()["id"])
        shown = (await strict.get(f"/api/jobs/{job.id}")).json()

        assert (job.provider, job.served_by) == ("triton", "sdxl/photorealistic")
        assert job.fallback is not None
        assert (job.fallback.provider, job.fallback.steps) == ("openai", 1)
        assert (shown["fallback"], shown["cost"]["estimatedUsd"]) == ("gpt-image-2", 0.0125)

    async def test_a_negative_prompt_that_the_fallback_could_not_obey_is_told(self, strict):
        problem = the_problem(await strict.submit(a_variation_request({"allowFallback": True})), 422)

        assert pointers(problem) == ["/generation/allowFallback"]

    @pytest.mark.parametrize(
        ("generation", "pointer"),
        [
            ({"model": "anime", "inferenceSteps": 28, "allowFallback": True}, "/generation/allowFallback"),
            ({"allowFallback": "yes"}, "/generation/allowFallback"),
            (
                {"model": "gpt-image", "inferenceSteps": 1, "guidanceScale": 0, "negativePrompt": "x"},
                "/generation/negativePrompt",
            ),
            ({"model": "upscaler", "inferenceSteps": 1, "guidanceScale": 0, "negativePrompt": ""}, "/generation/model"),
        ],
    )
    async def test_what_a_model_cannot_do_is_told(self, strict, generation, pointer):
        assert pointers(the_problem(await strict.submit(a_variation_request(generation)), 422)) == [pointer]


async def derived_of(counter: Counter, job: Job) -> Job:
    """A reroll of the job's first image, after it was published."""
    await counter.publish(job.id)
    return await derived(counter, image_id(job.id, 1, "landscape", 0), "reroll", images=1)


async def test_a_filtered_image_says_so_and_costs_nothing(counter):
    job = await counter.job(await submitted(counter, generation={"model": "anime", "inferenceSteps": 28}))
    played = await counter.play(job.id, family_published(job, indexes=(), bad={0: FailureCode.CONTENT_FILTERED}))

    shown = (await counter.get(f"{IMAGES}/{image_id(job.id, 1, 'square', 0)}")).json()

    assert played.families["square"].images[0].status is ImageStatus.FAILED
    assert (shown["error"]["code"], shown["error"]["retryable"]) == ("content_filtered", False)
    assert played.cost.actual_micros == 0
