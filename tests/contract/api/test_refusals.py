"""Bad submissions: each gets a problem that points to every field, and nothing is stored. The prompt is never echoed."""

import json
from typing import Any

import pytest

from contract.api.counter import VARIATIONS, Counter, pointers, the_problem
from support.builders import a_variation_request

CANARY = "canary-of-the-prompt"


def with_generation(**generation: Any) -> dict[str, Any]:
    return a_variation_request(generation)


def without(*path: str) -> dict[str, Any]:
    body = a_variation_request()
    *parents, last = path
    place = body
    for parent in parents:
        place = place[parent]
    del place[last]
    return body


async def refused(counter: Counter, body: Any, *wanted: str, code: str = "invalid-request") -> dict[str, Any]:
    answer = await counter.submit(body)
    problem = the_problem(answer, 422, code)
    assert sorted(pointers(problem)) == sorted(wanted)
    assert all(error["detail"] for error in problem["errors"])
    assert await counter.stored() == 0
    return problem


@pytest.mark.parametrize(
    ("families", "pointer"),
    [
        (["square", "circle"], "/families/1"),
        (["Square"], "/families/0"),
        ([""], "/families/0"),
        (["og-image"], "/families/0"),
        ([], "/families"),
        (["square", "square"], "/families"),
        (["facebook-og", "facebook"], "/families"),
        (["social", "facebook"], "/families"),
    ],
)
async def test_families_must_exist_and_be_named_once(counter, families, pointer):
    await refused(counter, a_variation_request(families=families), pointer)


async def test_an_unknown_family_is_answered_with_those_that_exist(counter):
    problem = await refused(counter, a_variation_request(families=["circle"]), "/families/0")

    assert problem["errors"][0]["detail"] == (
        "unknown family 'circle': use one of square, landscape, portrait, hero, facebook-og"
    )


@pytest.mark.parametrize("name", ["variations", "health", "models", "jobs", "imagine", "Models", "HEALTH", "jObs"])
async def test_words_of_the_api_are_no_names_in_any_letter_case(counter, name):
    problem = await refused(counter, a_variation_request(name=name), "/name")

    assert "reserved" in problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a/b", "../a", "a.b", "a%2eb", "%2e", "ü", "日本", "-a", "a\n", "a\x00", "a" * 101, "a" * 2000],
)
async def test_names_that_are_not_url_safe_are_refused(counter, name):
    await refused(counter, a_variation_request(name=name), "/name")


@pytest.mark.parametrize("category", ["", " a", "a\n", "a\x00", "ü", "a" * 101, "../a", "<script>"])
async def test_categories_are_plain_words_and_slashes(counter, category):
    await refused(counter, a_variation_request(category=category), "/category")


async def test_a_taken_name_is_a_conflict_and_the_first_job_is_untouched(counter):
    first = (await counter.submit(a_variation_request())).json()
    before = await counter.job(first["id"])

    problem = the_problem(await counter.submit(a_variation_request()), 409, "name-taken")

    assert pointers(problem) == ["/name"]
    assert await counter.stored() == 1
    assert await counter.job(first["id"]) == before


@pytest.mark.parametrize("prompt", ["", " ", "\t\n\u2003", "x" * 4001, "\U0001f3d6" * 4001, "a\x00b"])
async def test_prompts_are_neither_blank_nor_too_long_nor_unstorable(counter, prompt):
    await refused(counter, with_generation(prompt=prompt), "/generation/prompt")


@pytest.mark.parametrize("prompt", ["x" * 4000, "ü" * 4000, "日" * 4000])
async def test_the_length_of_a_prompt_counts_in_characters(counter, prompt):
    content = json.dumps(with_generation(prompt=prompt), ensure_ascii=False).encode()

    assert (await counter.post(content)).status_code == 202


@pytest.mark.parametrize("negative", ["x" * 4001, "a\x00"])
async def test_negative_prompts_are_limited_alike(counter, negative):
    await refused(counter, with_generation(negativePrompt=negative), "/generation/negativePrompt")


@pytest.mark.parametrize(
    ("model", "parameter", "value", "takes"),
    [
        ("photorealistic", "inferenceSteps", 9, "is 9; photorealistic takes 10 to 60"),
        ("photorealistic", "inferenceSteps", 61, "is 61; photorealistic takes 10 to 60"),
        ("photorealistic", "guidanceScale", 0.99, "is 0.99; photorealistic takes 1 to 15"),
        ("photorealistic", "guidanceScale", 15.01, "is 15.01; photorealistic takes 1 to 15"),
        ("anime", "inferenceSteps", 0, "is 0; anime takes 10 to 60"),
        ("anime", "guidanceScale", -7, "is -7; anime takes 1 to 15"),
        ("preview", "inferenceSteps", -1, "is -1; preview takes 1 to 60"),
    ],
)
async def test_parameters_outside_the_models_range_are_refused_with_the_range(counter, model, parameter, value, takes):
    problem = await refused(counter, with_generation(model=model, **{parameter: value}), f"/generation/{parameter}")

    assert problem["errors"][0]["detail"] == takes


async def test_turbo_takes_few_steps_and_no_guidance(counter):
    body = with_generation(model="turbo", inferenceSteps=5, guidanceScale=0.1)

    await refused(counter, body, "/generation/inferenceSteps", "/generation/guidanceScale")


async def test_an_unknown_model_is_answered_with_those_that_exist(counter):
    problem = await refused(counter, with_generation(model="dalle"), "/generation/model")

    assert (
        problem["errors"][0]["detail"]
        == "no such model; use one of: photorealistic, anime, turbo, preview, upscaler, gpt-image, midjourney, nanobanana"
    )


@pytest.mark.parametrize(
    "field", ["status", "owner", "id", "version", "is_dx_job", "$where", "__proto__", "a/b", "a~b"]
)
async def test_unknown_fields_are_refused_at_every_level(counter, field):
    escaped = field.replace("~", "~0").replace("/", "~1")

    await refused(counter, a_variation_request() | {field: "x"}, f"/{escaped}")
    await refused(counter, with_generation(**{field: "x"}), f"/generation/{escaped}")


@pytest.mark.parametrize("path", [("name",), ("category",), ("families",), ("generation",), ("generation", "prompt")])
async def test_missing_fields_are_required_at_every_level(counter, path):
    problem = await refused(counter, without(*path), "/" + "/".join(path))

    assert problem["errors"][0]["detail"] == "is required"


@pytest.mark.parametrize("field", ["name", "category"])
@pytest.mark.parametrize("value", [None, True, 3, 2.5, [], ["a"], {}, {"$ne": None}, {"$gt": ""}, ["$where"]])
async def test_texts_are_texts(counter, field, value):
    await refused(counter, a_variation_request() | {field: value}, f"/{field}")


@pytest.mark.parametrize("field", ["prompt", "negativePrompt", "model"])
@pytest.mark.parametrize("value", [None, True, 3, ["a"], {"$ne": None}, {"$gt": ""}])
async def test_texts_of_the_generation_are_texts(counter, field, value):
    await refused(counter, with_generation(**{field: value}), f"/generation/{field}")


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        *(("square", "/families"), (None, "/families"), ({"0": "square"}, "/families"), (3, "/families")),
        *(
            ([None], "/families/0"),
            ([3], "/families/0"),
            ([{"$ne": None}], "/families/0"),
            ([["square"]], "/families/0"),
        ),
    ],
)
async def test_families_are_a_list_of_texts(counter, value, pointer):
    await refused(counter, a_variation_request(families=value), pointer)


@pytest.mark.parametrize("value", [None, [], "x", 3, True])
async def test_the_generation_is_an_object(counter, value):
    problem = await refused(counter, a_variation_request() | {"generation": value}, "/generation")

    assert problem["errors"][0]["detail"] == "must be a JSON object"


@pytest.mark.parametrize("value", [None, 0, 1, "true", "", [], {}])
async def test_is_dx_job_is_true_or_false(counter, value):
    await refused(counter, a_variation_request(isDxJob=value), "/isDxJob")


@pytest.mark.parametrize("field", ["seed", "inferenceSteps"])
@pytest.mark.parametrize(
    "value", [None, True, "30", 30.5, [], {"$ne": None}, float("nan"), float("inf"), -float("inf")]
)
async def test_whole_numbers_are_whole_numbers(counter, field, value):
    await refused(counter, with_generation(**{field: value}), f"/generation/{field}")


@pytest.mark.parametrize("value", [None, True, "7.5", [], {"$ne": None}, float("nan"), float("inf"), 10**400])
async def test_the_guidance_is_a_finite_number(counter, value):
    await refused(counter, with_generation(guidanceScale=value), "/generation/guidanceScale")


async def test_a_number_without_a_fraction_is_whole(counter):
    accepted = await counter.submit(with_generation(seed=3.0, inferenceSteps=30.0, guidanceScale=7))
    job = await counter.job(accepted.json()["id"])

    assert (job.parameters.seed, job.parameters.steps, job.parameters.guidance_scale) == (3, 30, 7.0)
    assert type(job.parameters.seed) is int


@pytest.mark.parametrize("seed", [-1, -(10**30), 2**63, 10**300, 1e300])
async def test_seeds_beyond_63_bits_are_refused(counter, seed):
    await refused(counter, with_generation(seed=seed), "/generation/seed")


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
async def test_the_smallest_and_the_largest_seed_are_kept_exactly(counter, seed):
    accepted = (await counter.submit(with_generation(seed=seed))).json()

    shown = (await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()
    assert shown["generation"]["seed"] == seed


@pytest.mark.parametrize("field", ["name", "category"])
async def test_lone_surrogates_are_refused(counter, field):
    await refused(counter, a_variation_request() | {field: "a\ud800b"}, f"/{field}")


@pytest.mark.parametrize("field", ["prompt", "negativePrompt", "model"])
async def test_lone_surrogates_in_the_generation_are_refused(counter, field):
    await refused(counter, with_generation(**{field: "a\udfffb"}), f"/generation/{field}")


async def test_a_lone_surrogate_as_a_fields_name_is_refused(counter):
    the_problem(await counter.submit(with_generation(**{"\ud800": 1})), 422)
    the_problem(await counter.submit(a_variation_request(families=["\ud800"])), 422)

    assert await counter.stored() == 0


async def test_all_problems_are_told_at_once(counter):
    body = {
        "name": "models",
        "families": [1, "square", None],
        "generation": {"prompt": "", "seed": -1, "steps": 3, "guidanceScale": "7"},
        "isDxJob": "yes",
        "owner": "root",
    }

    problem = await refused(
        counter,
        body,
        *("/name", "/category", "/families/0", "/families/2", "/isDxJob", "/owner"),
        *("/generation/prompt", "/generation/seed", "/generation/steps", "/generation/guidanceScale"),
    )
    assert problem["detail"] == "10 problems in the request; nothing was stored"


async def test_all_that_does_not_exist_here_is_told_at_once(counter):
    body = a_variation_request({"model": "dalle"}, families=["circle", "square", "hexagon"])
    await refused(counter, body, "/families/0", "/families/2", "/generation/model")

    body = a_variation_request({"inferenceSteps": 99}, families=["circle"])
    await refused(counter, body, "/families/0", "/generation/inferenceSteps")


@pytest.mark.parametrize(
    "generation",
    [
        {"prompt": CANARY + "x" * 4000},
        {"prompt": CANARY + "\x00"},
        {"prompt": [CANARY]},
        {"prompt": {"text": CANARY}},
        {"prompt": CANARY + "\ud800"},
        {"prompt": CANARY, "negativePrompt": {"$ne": CANARY}},
        {"prompt": CANARY, "model": CANARY},
        {"prompt": CANARY, "inferenceSteps": CANARY},
        {"prompt": CANARY, "seed": -1},
        {"prompt": CANARY, "guidanceScale": 99},
    ],
)
async def test_an_error_never_echoes_a_prompt(counter, generation):
    answer = await counter.submit(with_generation(**generation))

    the_problem(answer, 422)
    assert CANARY not in answer.text
    assert not any(CANARY in value for value in answer.headers.values())
