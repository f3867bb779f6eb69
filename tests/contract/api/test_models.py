"""`models` and `health/ml` answer from what generators last reported; a model that cannot serve is refused."""

from datetime import timedelta

import pytest

from contract.api.counter import Counter, opened, the_problem
from imagetron_gateway.adapters.reports import FRESH
from support.builders import NOW, a_model_health, a_variation_request

MODELS = "/api/images/models"
HEALTH = "/api/images/health/ml"
OUR_OWN = ["photorealistic", "anime", "turbo", "preview", "upscaler"]
OTHERS = ["gpt-image", "midjourney", "nanobanana"]


@pytest.fixture
async def strict():
    """A gateway without a stand-in."""
    async with opened(Counter(stand_in=None)) as counter:
        yield counter


async def serving(counter: Counter) -> dict[str, str | None]:
    return {model["name"]: model["servedBy"] for model in (await counter.get(MODELS)).json()["items"]}


async def test_every_model_is_listed_with_its_needs_and_ranges(counter):
    answer = await counter.get(MODELS)
    first = answer.json()["items"][0]

    assert answer.status_code == 200
    assert [model["name"] for model in answer.json()["items"]] == [*OUR_OWN, *OTHERS]
    assert first.pop("description")
    assert first.pop("nativeSizes")[5] == {"width": 1344, "height": 768}
    assert first == {
        "name": "photorealistic",
        "title": "JuggernautXL v9",
        "tone": "photographic, realistic light",
        "licence": "CreativeML Open RAIL++-M",
        "provider": "triton",
        "delivery": "direct",
        "verbs": ["imagine", "reroll", "vary", "upscale"],
        "vramGiB": 8.0,
        "inferenceSteps": {"minimum": 10, "maximum": 60, "default": 30},
        "guidanceScale": {"minimum": 1.0, "maximum": 15.0, "default": 7.5},
        "negativePrompts": True,
        "reproducible": True,
        "prices": [
            {"upTo": {"width": side, "height": side}, "usd": usd}
            for side, usd in ((512, 0.005), (768, 0.01), (1024, 0.0125), (1536, 0.045))
        ],
        "fallback": "gpt-image",
        "available": False,
        "unavailableBecause": "no generator has spoken for it of late",
        "servedBy": None,
    }


async def test_without_a_report_no_model_is_available_and_health_is_unknown(counter):
    assert set((await serving(counter)).values()) == {None}
    answer = await counter.get(HEALTH)

    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["responseTimeSeconds"]) == ("unknown", None)


async def test_a_stand_in_serves_for_our_own_models_that_cannot_and_for_nobody_elses(counter):
    await counter.report(a_model_health("preview"), a_model_health("sdxl/anime"))

    assert await serving(counter) == {
        "photorealistic": "preview",
        "anime": "sdxl/anime",
        "turbo": "preview",
        "preview": "preview",
        "upscaler": "preview",
        **dict.fromkeys(OTHERS),
    }


async def test_a_model_that_cannot_serve_says_why(counter):
    await counter.report(a_model_health("preview"), a_model_health("midjourney", is_available=False))
    because = {model["name"]: model["unavailableBecause"] for model in (await counter.get(MODELS)).json()["items"]}

    assert because["anime"] is None
    assert because["midjourney"] == "the model does not answer"
    assert because["gpt-image"] == "no generator has spoken for it of late"


async def test_health_tells_the_response_time_and_for_which_models_it_stands(counter):
    await counter.report(a_model_health("preview", response_seconds=0.31))
    answer = await counter.get(HEALTH)

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "available",
        "responseTimeSeconds": 0.31,
        "checkedAt": "2026-01-01T12:00:00Z",
        "models": [
            {
                "model": "preview",
                "available": True,
                "responseTimeSeconds": 0.31,
                "checkedAt": "2026-01-01T12:00:00Z",
                "serves": OUR_OWN,
                "error": None,
            },
            *(
                {
                    "model": model,
                    "available": False,
                    "responseTimeSeconds": None,
                    "checkedAt": None,
                    "serves": [name],
                    "error": None,
                }
                for model, name in zip(("gpt-image-2", "midjourney", "nanobanana"), OTHERS, strict=True)
            ),
        ],
    }


async def test_an_inference_tells_more_than_a_provider_that_was_only_set_up(counter):
    await counter.report(a_model_health("preview", response_seconds=0.31))
    counter.clock.advance(1)
    await counter.report(a_model_health("gpt-image-2", at=counter.clock.now(), response_seconds=None))

    assert (await counter.get(HEALTH)).json()["responseTimeSeconds"] == 0.31


async def test_a_model_that_does_not_answer_is_told_with_the_reason(counter):
    await counter.report(a_model_health("preview", is_available=False))
    answer = await counter.get(HEALTH)
    reported = [model for model in answer.json()["models"] if model["checkedAt"]]

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert [(model["model"], model["available"], model["error"]) for model in reported] == [
        ("preview", False, "the model does not answer")
    ]


async def test_a_report_counts_for_three_intervals_and_not_longer(counter):
    await counter.report(a_model_health("preview"))
    counter.clock.advance(FRESH.total_seconds() - 0.001)
    assert (await counter.get(HEALTH)).json()["status"] == "available"

    counter.clock.advance(0.001)
    assert (await counter.get(HEALTH)).json()["status"] == "unknown"
    assert set((await serving(counter)).values()) == {None}


async def test_a_report_that_was_overtaken_changes_nothing(counter):
    await counter.report(
        a_model_health("preview", at=NOW), a_model_health("preview", at=NOW - timedelta(seconds=15), is_available=False)
    )

    assert (await counter.get(HEALTH)).json()["status"] == "available"


async def test_a_model_is_available_while_any_generator_vouches_for_it(counter):
    well = a_model_health("preview", reporter="generator-1")
    ill = a_model_health("preview", reporter="generator-2", at=NOW + timedelta(seconds=1), is_available=False)
    await counter.report(well, ill)

    assert (await counter.get(HEALTH)).json()["status"] == "available"


async def test_a_model_that_cannot_serve_is_refused_and_nothing_is_stored(strict):
    await strict.report(a_model_health("sdxl/anime"), a_model_health("sdxl/photorealistic", is_available=False))
    answer = await strict.submit(a_variation_request())

    problem = the_problem(answer, 503, "model-unavailable")
    assert problem["retryable"] is True
    assert answer.headers["Retry-After"]
    assert problem["detail"] == "photorealistic cannot serve now; GET /api/images/models says which models can"
    assert await strict.stored() == 0


async def test_a_model_that_serves_is_recorded_as_its_own_server(strict):
    await strict.report(a_model_health("sdxl/photorealistic"))
    job = await strict.job((await strict.submit(a_variation_request())).json()["id"])

    assert (job.model, job.served_by) == ("photorealistic", "sdxl/photorealistic")


async def test_a_bad_request_is_told_before_the_models_state(strict):
    the_problem(await strict.submit(a_variation_request({"inferenceSteps": 99})), 422)


async def test_the_stand_in_is_taken_on_trust(counter):
    accepted = (await counter.submit(a_variation_request())).json()

    assert (await counter.job(accepted["id"])).served_by == "preview"
