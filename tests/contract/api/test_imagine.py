"""Images from a kept prompt, and a job's stored inputs run again: what was approved is what is made."""

from typing import Any

import pytest

from contract.api.counter import BASE, Counter, opened, the_problem
from contract.api.test_prompts import PROMPT
from imagetron_contracts import rpc
from imagetron_contracts.rpc import Refusal
from imagetron_contracts.spec import RenderSpec, spec_key
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.domain.job import JobKind, Policy
from support.builders import a_model_health, a_variation_request, family_published
from support.prompts import a_refusal

IMAGINE = "/api/images/imagine"
NO_WEAPONS = Policy(negative_prompt="weapons, blood")


@pytest.fixture
async def counter(counter: Counter) -> Counter:
    counter.prompts.answer(rpc.GetPrompt, rpc.PromptShown(prompt=PROMPT))
    return counter


async def imagined(counter: Counter, **body: Any) -> str:
    answer = await counter.submit({"promptId": "prompt-1", **body}, IMAGINE)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"{BASE}/api/images/variations/{answer.json()['id']}"
    return str(answer.json()["id"])


async def test_imagining_makes_four_square_images_of_a_copy_of_the_prompt(counter):
    job = await counter.job(await imagined(counter))

    assert (job.kind, job.final_prompt) == (JobKind.IMAGINE, PROMPT.text)
    assert job.prompt is not None
    assert (job.prompt.id, job.prompt.version) == ("prompt-1", 3)
    assert {name: len(family.images) for name, family in job.families.items()} == {"square": 4}
    assert job.name == f"imagine-{job.id.replace('-', '')}"


async def test_imagining_takes_what_the_caller_chose(counter):
    job = await counter.job(
        await imagined(
            counter,
            promptVersion=3,
            images=2,
            families=["facebook", "square"],
            name="rain",
            generation={"seed": 2**63 - 1, "inferenceSteps": 20, "negativePrompt": "people"},
        )
    )

    assert (job.name, job.negative_prompt, job.parameters.steps) == ("rain", "people", 20)
    seeds = {name: [image.seed for image in family.images] for name, family in job.families.items()}
    # The seeds go on round the end of what stores and models take.
    assert seeds == {"facebook-og": [2**63 - 1, 0], "square": [2**63 - 1, 0]}


async def test_a_prompt_that_was_changed_after_it_was_approved_is_not_executed(counter):
    answer = await counter.submit({"promptId": "prompt-1", "promptVersion": 2}, IMAGINE)

    the_problem(answer, 409, "not-allowed")
    assert await counter.stored() == 0


async def test_a_prompt_that_is_not_there_makes_no_job(counter):
    counter.prompts.answer(rpc.GetPrompt, a_refusal(Refusal.NOT_FOUND))

    the_problem(await counter.submit({"promptId": "gone"}, IMAGINE), 404, "not-found")
    assert await counter.stored() == 0


async def test_imagining_again_under_the_same_key_makes_one_job_even_if_the_prompt_is_gone(counter):
    first = await counter.submit({"promptId": "prompt-1"}, IMAGINE, Idempotency_Key="one")
    counter.prompts.answer(rpc.GetPrompt, a_refusal(Refusal.NOT_FOUND))

    again = await counter.submit({"promptId": "prompt-1"}, IMAGINE, Idempotency_Key="one")

    assert (again.status_code, again.json()) == (202, first.json())
    assert await counter.stored() == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/promptId"),
        ({"promptId": ""}, "/promptId"),
        ({"promptId": 1}, "/promptId"),
        ({"promptId": "p", "promptVersion": 0}, "/promptVersion"),
        ({"promptId": "p", "promptVersion": "3"}, "/promptVersion"),
        *(({"promptId": "p", "images": given}, "/images") for given in [0, 6, -1, 2.5, "3", None, True]),
        ({"promptId": "p", "families": []}, "/families"),
        ({"promptId": "p", "families": ["round"]}, "/families/0"),
        ({"promptId": "p", "name": "a b"}, "/name"),
        ({"promptId": "p", "generation": {"prompt": "mine"}}, "/generation/prompt"),
        ({"promptId": "p", "generation": {"seed": 2**63}}, "/generation/seed"),
        ({"promptId": "p", "prompt": "mine"}, "/prompt"),
        ({"promptId": "p", "promptVersion": None}, ""),
        ({"promptId": "p", "name": None}, ""),
    ],
    ids=str,
)
async def test_a_bad_field_is_refused_by_name_and_nothing_is_stored(counter, body, pointer):
    problem = the_problem(await counter.submit(body, IMAGINE), 422, "invalid-request")

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert (await counter.stored(), counter.prompts.asked) == (0, [])


async def test_each_of_several_images_has_a_name_of_its_own(counter):
    job_id = await imagined(counter, images=3, name="rain")
    await counter.publish(job_id)
    job = await counter.job(job_id)

    await counter.play(job_id, family_published(job, "square", indexes=(0, 1, 2)))
    shown = (await counter.get(f"/api/images/variations/{job_id}")).json()["derivatives"]
    masters = {picture["image"]: picture for picture in shown if picture["name"] == "square"}

    assert [masters[index]["aliasUrl"] for index in range(3)] == [
        f"{BASE}/api/images/rain/square?image={index}" for index in range(3)
    ]


@pytest.mark.parametrize(("image", "status"), [("", 200), ("?image=0", 200), ("?image=3", 404), ("?image=-1", 422)])
async def test_a_name_stands_for_one_of_several_images(counter, image, status):
    job_id = await imagined(counter, images=3, name="rain")
    await counter.publish(job_id)

    answer = await counter.get(f"/api/images/rain/square{image}")

    assert answer.status_code == status


# Replay


async def spec_of(counter: Counter, job_id: str) -> dict[str, Any]:
    await BlobSpecs(counter.work).write(await counter.job(job_id))
    spec = RenderSpec.model_validate_json(await counter.work.get(spec_key(job_id, 1)))
    return spec.model_dump(exclude={"job_id"})


async def test_a_replay_is_a_new_job_with_everything_that_decides_the_pixels(counter):
    original = await imagined(counter, images=3)
    await counter.publish(original)

    answer = await counter.submit({}, f"/api/jobs/{original}/replay")

    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    shown = (await counter.get(f"/api/jobs/{job_id}")).json()
    assert (shown["replayOf"], shown["status"], shown["prompt"]) == (
        original,
        "queued",
        {"id": "prompt-1", "version": 3},
    )
    assert await spec_of(counter, job_id) == await spec_of(counter, original)
    assert shown["families"]["square"]["images"][0]["digest"] is None


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("hero", "hero"),
        ("h" * 100, "h" * 80),
        ("hero-replay-0123456789ab", "hero"),
        ("my-replay-of-x", "my-replay-of-x"),
    ],
)
async def test_the_replay_of_a_named_variation_is_named_after_it(counter, name, stem):
    original = (await counter.submit(a_variation_request(name=name))).json()["id"]

    copy = (await counter.submit({}, f"/api/jobs/{original}/replay")).json()["id"]

    job = await counter.job(copy)
    assert job.name == f"{stem}-replay-{job.id[-12:]}"
    assert len(job.name) <= 100


async def test_the_replay_of_an_image_job_has_an_id_of_the_pipeline_too(counter):
    body = {"intent": "card", "rawPrompt": "ui", "finalPrompt": "a card", "imageCount": 2}
    original = (await counter.submit(body, "/image/execute-prompt")).json()["jobId"]

    copy = (await counter.submit({}, f"/api/jobs/{original}/replay")).json()["id"]

    job = await counter.job(copy)
    assert (job.intent, job.raw_prompt, job.final_prompt) == ("card", "ui", "a card")
    assert (await counter.get(f"/image/job-status/{job.name}")).json()["status"] == "QUEUED"


async def test_replaying_under_the_same_key_makes_one_job(counter):
    original = await imagined(counter)

    first = await counter.submit({}, f"/api/jobs/{original}/replay", Idempotency_Key="one")
    again = await counter.submit({}, f"/api/jobs/{original}/replay", Idempotency_Key="one")

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await counter.stored() == 2


async def test_a_job_that_is_not_there_cannot_be_replayed(counter):
    the_problem(await counter.submit({}, "/api/jobs/nothing/replay"), 404, "not-found")


async def test_a_job_whose_model_cannot_serve_now_is_not_replayed_by_another():
    async with opened(Counter(stand_in=None)) as counter:
        await counter.report(a_model_health("sdxl/photorealistic"))
        original = (await counter.submit(a_variation_request())).json()["id"]
        await counter.report(a_model_health("sdxl/photorealistic", is_available=False))

        the_problem(await counter.submit({}, f"/api/jobs/{original}/replay"), 503, "model-unavailable")
        assert await counter.stored() == 1


# The operator's policy


async def test_the_policys_negative_prompt_is_shown_and_told_to_the_model_and_never_merged():
    async with opened(Counter(policy=NO_WEAPONS)) as counter:
        counter.prompts.answer(rpc.GetPrompt, rpc.PromptShown(prompt=PROMPT))
        job_id = await imagined(counter, generation={"negativePrompt": "people"})

        shown = (await counter.get(f"/api/jobs/{job_id}")).json()
        spec = await spec_of(counter, job_id)

    assert (shown["finalPrompt"], shown["negativePrompt"]) == (PROMPT.text, "people")
    assert shown["policy"] == {"negativePrompt": "weapons, blood"}
    assert (spec["prompt"], spec["negativePrompt"]) == (PROMPT.text, "people, weapons, blood")


@pytest.mark.parametrize(
    ("generation", "pointer"),
    [
        ({"model": "turbo"}, "/generation/model"),
        ({"guidanceScale": 1.0}, "/generation/guidanceScale"),
    ],
    ids=str,
)
async def test_a_model_or_a_guidance_that_takes_no_heed_of_the_policy_is_refused(generation, pointer):
    async with opened(Counter(policy=NO_WEAPONS)) as counter:
        answer = await counter.submit({"promptId": "p", "generation": generation}, IMAGINE)

        problem = the_problem(answer, 422, "invalid-request")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert await counter.stored() == 0


async def test_other_pictures_of_an_old_job_are_not_made_under_a_new_policy_and_the_same_ones_are():
    async with opened(Counter()) as counter:
        original = (await counter.submit(a_variation_request())).json()["id"]
        await counter.publish(original)
        under_policy = Counter(documents=counter.memory, public=counter.public, policy=NO_WEAPONS)
        async with opened(under_policy) as later:
            regenerate = f"/api/images/variations/{original}/regenerate"

            the_problem(await later.submit({}, f"/api/jobs/{original}/replay"), 409, "not-allowed")
            the_problem(await later.submit({}, f"{regenerate}?reseed=true"), 409, "not-allowed")
            assert (await later.submit({}, regenerate)).status_code == 202


async def test_a_replay_is_one_request_however_the_jobs_id_is_written(counter):
    original = await imagined(counter)
    other_way = f"imgjob_{original.replace('-', '')}"

    first = await counter.submit({}, f"/api/jobs/{original}/replay", Idempotency_Key="one")
    again = await counter.submit({}, f"/api/jobs/{other_way}/replay", Idempotency_Key="one")

    assert again.json() == first.json()


async def test_without_a_policy_every_model_may_be_used(counter):
    await imagined(counter, generation={"model": "turbo"})
