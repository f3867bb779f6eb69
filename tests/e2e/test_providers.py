"""Every way a picture is made, over HTTP against all five services: our own model, OpenAI, a called-back, a polled provider."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from support.eventually import eventually_sync
from support.midjourney_double import Calls, Ending, MidjourneyDouble, Mood, a_midjourney_double
from support.openai_images_double import OpenAIImagesDouble, an_openai_images_double
from support.polled_double import PolledDouble, a_polled_double
from support.ports import free_port
from support.provider_double import Pictures
from support.rabbitmq import RunningRabbit
from support.service_process import ServiceProcess
from support.services import Services
from support.triton import RunningTriton

SECRET = "the secret of these tests' callbacks"
PROMPT = "a lighthouse, „bei Nacht“ 🌊"
# A provider that has refused is left alone for a minute.
pytestmark = pytest.mark.timeout(300)
OTHERS = {"midjourney": "midjourney", "nanobanana": "nanobanana", "gpt-image": "gpt-image-2"}


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAIImagesDouble]:
    with an_openai_images_double() as double:
        yield double


@pytest.fixture(scope="module")
def midjourney() -> Iterator[MidjourneyDouble]:
    with a_midjourney_double() as double:
        yield double


@pytest.fixture(scope="module")
def polled() -> Iterator[PolledDouble]:
    with a_polled_double() as double:
        yield double


@pytest.fixture(scope="module")
def services(
    rabbitmq: RunningRabbit,
    triton: RunningTriton,
    openai: OpenAIImagesDouble,
    midjourney: MidjourneyDouble,
    polled: PolledDouble,
) -> Iterator[Services]:
    folder = Path(tempfile.mkdtemp(prefix="imagetron-providers-"))
    started: list[ServiceProcess] = []
    port = str(free_port())

    def start(name: str, **environ: str) -> ServiceProcess:
        started.append(ServiceProcess(name, folder, **environ))
        return started[-1]

    hosts = [httpx.URL(double.base_url).netloc.decode() for double in (openai, midjourney, polled)]
    try:
        yield Services(
            start,
            folder,
            AMQP_URL=rabbitmq.new_vhost(),
            GATEWAY_PORT=port,
            GATEWAY_STAND_IN_MODEL="preview",
            PROVIDER_CALLBACK_SECRET=SECRET,
            GENERATOR_TRITON_URL=triton.address,
            GENERATOR_HEALTH_INTERVAL_SECONDS="1",
            GENERATOR_OPENAI_API_KEY=openai.api_key,
            GENERATOR_OPENAI_BASE_URL=openai.base_url,
            GENERATOR_CALLBACK_PROVIDER_URL=midjourney.base_url,
            GENERATOR_CALLBACK_PROVIDER_KEY=midjourney.api_key,
            GENERATOR_CALLBACK_BASE_URL=f"http://127.0.0.1:{port}",
            GENERATOR_POLLED_PROVIDER_URL=polled.base_url,
            GENERATOR_POLLED_PROVIDER_KEY=polled.api_key,
            GENERATOR_PROVIDER_POLL_SECONDS="0.2",
            GENERATOR_DOWNLOAD_LOOPBACK=",".join(hosts),
        )
    finally:
        for process in started:
            process.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def all_providers_are_in_a_good_mood(
    services: Services, openai: OpenAIImagesDouble, midjourney: MidjourneyDouble, polled: PolledDouble
) -> None:
    for double in (openai, midjourney, polled):
        double.reset()
    eventually_sync(lambda: {"midjourney", "gpt-image", "nanobanana"} <= available(services), within_seconds=150)


def available(services: Services) -> set[str]:
    models = httpx.get(f"{services.url}/api/images/models").json()["items"]
    return {model["name"] for model in models if model["available"]}


def post(services: Services, path: str, body: Any, status: int = 202) -> Any:
    answer = httpx.post(f"{services.url}{path}", json=body, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def submitted(services: Services, model: str, **generation: Any) -> str:
    body = {
        "name": f"{model}-{free_port()}",
        "category": "tests",
        "families": ["square"],
        "generation": {"prompt": PROMPT, "model": model, **generation},
        "isDxJob": True,
    }
    return str(post(services, "/api/images/variations", body)["id"])


def job_of(services: Services, job_id: str) -> dict[str, Any]:
    answer = httpx.get(f"{services.url}/api/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(services: Services, job_id: str, within_seconds: float = 60) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = job_of(services, job_id)
        return job if job["status"] in {"completed", "partial", "failed", "cancelled"} else None

    return eventually_sync(look, within_seconds=within_seconds, every_seconds=0.1)


def images_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [image for family in job["families"].values() for image in family["images"]]


def master_of(services: Services, image: dict[str, Any]) -> tuple[int, int]:
    shown = httpx.get(f"{services.url}/api/images/{image['id']}").json()
    with Image.open(io.BytesIO(httpx.get(shown["url"]).content)) as picture:
        return picture.size


@pytest.mark.parametrize(("model", "served_by"), OTHERS.items())
def test_an_outside_provider_makes_a_picture_that_says_who_made_it_and_what_it_cost(services, model, served_by):
    job = ended(services, submitted(services, model))

    assert job["status"] == "completed", job
    [image] = images_of(job)
    assert image["servedBy"] == served_by
    assert len(image["answerDigest"]) == 64
    assert image["seconds"] > 0
    assert image["gpuSeconds"] is None
    assert job["cost"]["actualUsd"] == job["cost"]["estimatedUsd"] == image["priceUsd"] > 0
    assert master_of(services, image) == (1024, 1024)


def test_our_own_model_tells_its_gpu_seconds_and_a_stand_in_is_free(services):
    job = ended(services, submitted(services, "photorealistic"))

    [image] = images_of(job)
    assert (job["status"], image["provider"], image["servedBy"]) == ("completed", "triton", "preview")
    assert image["gpuSeconds"] > 0
    assert job["cost"]["actualUsd"] == 0


def test_one_prompt_of_four_images_is_one_paid_task_of_the_called_back_provider(services, midjourney):
    first = ended(services, submitted(services, "midjourney"))
    before = len(midjourney.submissions)

    again = post(services, f"/api/images/{images_of(first)[0]['id']}/reroll", {"images": 4})["id"]
    job = ended(services, again)

    assert job["status"] == "completed", job
    assert len(images_of(job)) == 4
    assert len({image["digest"] for image in images_of(job)}) == 4
    assert len(midjourney.submissions) - before == 1


@pytest.mark.parametrize("calls", [Calls.NEVER, Calls.FIVEFOLD, Calls.REORDERED, Calls.BEFORE_THE_ANSWER, Calls.FORGED])
def test_however_the_provider_calls_back_there_is_one_result_and_one_payment(services, midjourney, calls):
    midjourney.mood(Mood(calls=calls))

    job = ended(services, submitted(services, "midjourney"), within_seconds=90)

    assert job["status"] == "completed", job
    assert len(midjourney.submissions) == 1


def test_a_refused_picture_is_told_as_filtered_and_costs_nothing(services, openai, midjourney):
    openai.against_the_policy()
    midjourney.mood(Mood(ending=Ending.AGAINST_POLICY))

    jobs = [ended(services, submitted(services, model)) for model in ("gpt-image", "midjourney")]

    for job in jobs:
        [image] = images_of(job)
        assert (job["status"], image["error"]["code"]) == ("failed", "content_filtered"), job
        assert image["error"]["retryable"] is False
        assert job["cost"]["actualUsd"] == 0
        assert PROMPT not in str(image["error"])


def test_one_picture_that_cannot_be_fetched_does_not_sink_the_others(services, midjourney):
    parent = ended(services, submitted(services, "midjourney"))
    midjourney.mood(Mood(pictures=Pictures.ONE_MISSING))

    job = ended(services, post(services, f"/api/images/{images_of(parent)[0]['id']}/reroll", {"images": 4})["id"])

    assert job["status"] == "partial", job
    statuses = sorted(image["status"] for image in images_of(job))
    assert statuses == ["failed", "published", "published", "published"]
    assert job["cost"]["actualUsd"] == pytest.approx(3 * images_of(job)[0]["priceUsd"])


def test_an_address_inside_the_network_is_never_fetched(services, midjourney):
    parent = ended(services, submitted(services, "midjourney"))
    midjourney.mood(Mood(pictures=Pictures.ONE_METADATA))

    job = ended(services, post(services, f"/api/images/{images_of(parent)[0]['id']}/reroll", {"images": 4})["id"])

    [bad] = [image for image in images_of(job) if image["status"] == "failed"]
    assert job["status"] == "partial", job
    assert "169.254" not in str(bad["error"])


def test_where_the_caller_allows_it_our_own_model_takes_over_and_says_so(services, openai):
    openai.at_its_billing_limit()

    job = ended(services, submitted(services, "photorealistic", allowFallback=True))

    # The stand-in serves, so nobody has to take over; what nobody allowed fails with its own word.
    assert [image["servedBy"] for image in images_of(job)] == ["preview"]
    refused = ended(services, submitted(services, "gpt-image"))
    assert images_of(refused)[0]["error"]["code"] == "quota_exceeded"


def test_an_image_is_varied_and_upscaled_and_an_upload_too(services):
    parent = images_of(ended(services, submitted(services, "photorealistic")))[0]

    varied = ended(services, post(services, f"/api/images/{parent['id']}/vary", {"images": 2})["id"])
    upscaled = ended(services, post(services, f"/api/images/{parent['id']}/upscale", {})["id"])
    buffer = io.BytesIO()
    Image.new("RGB", (320, 200), "navy").save(buffer, "PNG")
    source = httpx.post(f"{services.url}/api/images/sources", content=buffer.getvalue(), timeout=60)
    assert source.status_code == 201, source.text
    drawn = ended(
        services, post(services, f"/api/images/{source.json()['id']}/vary", {"prompt": PROMPT, "images": 1})["id"]
    )

    assert (varied["status"], upscaled["status"], drawn["status"]) == ("completed",) * 3
    assert len({image["digest"] for image in images_of(varied)} | {parent["digest"]}) == 3
    assert master_of(services, images_of(upscaled)[0]) == (2048, 2048)
    assert images_of(upscaled)[0]["servedBy"] == "lanczos"
    assert upscaled["lineage"]["parentImage"] == parent["id"]
    assert drawn["lineage"]["source"] == source.json()["id"]


def test_midjourneys_own_upscale_goes_on_from_the_task_that_made_the_image(services, midjourney):
    parent = images_of(ended(services, submitted(services, "midjourney")))[0]

    job = ended(services, post(services, f"/api/images/{parent['id']}/upscale", {})["id"])

    assert job["status"] == "completed", job
    assert images_of(job)[0]["servedBy"] == "midjourney"
    assert master_of(services, images_of(job)[0]) == (2048, 2048)


def test_nothing_that_anybody_wrote_holds_a_prompt_a_key_or_a_token(services, openai, midjourney, polled):
    ended(services, submitted(services, "midjourney"))

    for secret in (PROMPT, openai.api_key, midjourney.api_key, polled.api_key, SECRET, "/webhooks/providers/callback/"):
        assert secret not in services.output
