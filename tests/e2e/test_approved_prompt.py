"""What a person approved is what the model gets, byte for byte; the operator's policy travels beside it."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from integration.generator.unruly import UNRULY, UnrulyTriton, unruly, unruly_session
from support.eventually import eventually_sync
from support.rabbitmq import FreshBroker
from support.service_process import StartService, start_service
from support.services import Services

__all__ = ["start_service", "unruly", "unruly_session"]

# What differs between two images that are one picture: whose they are, and how long they took.
OTHERWISE = dict.fromkeys(("id", "seconds", "gpuSeconds"))
APPROVED = {
    "emoji": "a \N{FOX FACE} under a \N{MAPLE LEAF}, \U0001f468\u200d\U0001f469\u200d\U0001f467, flag \U0001f1ee\U0001f1f8",
    "quotes": '“curly”, "straight", \'single\', `back`, «angle», back\\slash, \\n as two characters, {json: "no"}',
    "newlines": "\n  first line\nsecond line\r\n\tthird, after a tab  \n\n",
    "right to left": "שקיעה על חוף הים، غروب الشمس على الشاطئ \u200f(sunset)\u200e",
    "4,000 characters": "\N{SNOWMAN}" * 3999 + "!",
    "combining": "e\u0301 is not \u00e9, \u1e9b\u0323 stays as it is, and so does \ufb01",
    "separators": "line\u2028paragraph\u2029next\u0085zero\u200bwidth\ufeff",
    "control": "bell\x07 escape\x1b[31mred",
    "json and html": '</script><b>&amp;</b> {"$ne": null} ${HOME} %s {0} --',
}


@pytest.fixture
def services(start_service: StartService, fresh_broker: FreshBroker, unruly: UnrulyTriton, tmp_path: Path) -> Services:
    return Services(
        start_service,
        tmp_path,
        AMQP_URL=fresh_broker.url,
        GENERATOR_TRITON_URL=unruly.address,
        GENERATOR_HEALTH_MODELS=UNRULY,
        GATEWAY_STAND_IN_MODEL=UNRULY,
        GATEWAY_POLICY_NEGATIVE_PROMPT="weapons, blood",
    )


def executed(url: str, final_prompt: str, count: int = 1) -> str:
    body = {"intent": "a card", "rawPrompt": "a thing", "finalPrompt": final_prompt, "imageCount": count}
    answer = httpx.post(f"{url}/image/execute-prompt", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def done(url: str, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = httpx.get(f"{url}/image/job-status/{job_id}").json()
        return job if job["status"] in {"DONE", "FAILED"} else None

    return eventually_sync(look, within_seconds=60, every_seconds=0.1)


def job(url: str, job_id: str) -> dict[str, Any]:
    return dict(httpx.get(f"{url}/api/jobs/{job_id}").json())


def test_the_model_gets_the_approved_prompt_byte_for_byte_and_a_replay_makes_the_same_pictures(
    services: Services, unruly: UnrulyTriton
):
    ids = {name: executed(services.url, prompt, count=2) for name, prompt in APPROVED.items()}
    finished = {name: done(services.url, job_id) for name, job_id in ids.items()}
    made = {name: job(services.url, job_id) for name, job_id in ids.items()}

    assert {name: (shown["status"], len(shown["cdnUrls"])) for name, shown in finished.items()} == dict.fromkeys(
        APPROVED, ("DONE", 2)
    )
    for name, prompt in APPROVED.items():
        seeds = [image["seed"] for image in made[name]["families"]["square"]["images"]]
        got = [call for call in unruly.inputs() if call["seed"] in seeds]
        assert {call["prompt"].encode() for call in got} == {prompt.encode()}, name
        assert {call["seed"] for call in got} == set(seeds)
        assert made[name]["finalPrompt"] == prompt
        # The policy is told beside it, never in it.
        assert {call["negativePrompt"] for call in got} == {"weapons, blood"}

    original = made["emoji"]
    answer = httpx.post(f"{services.url}/api/jobs/{ids['emoji']}/replay")
    assert answer.status_code == 202, answer.text
    copy_id = f"imgjob_{answer.json()['id'].replace('-', '')}"
    assert done(services.url, copy_id)["status"] == "DONE"
    copy = job(services.url, copy_id)
    assert copy["replayOf"] == original["id"]
    for made_again, made_first in zip(
        copy["families"]["square"]["images"], original["families"]["square"]["images"], strict=True
    ):
        # The same picture of another job, made in another time.
        assert {**made_again, **OTHERWISE} == {**made_first, **OTHERWISE}
    digests = [
        [url.rpartition("/")[2] for url in shown["cdnUrls"]]
        for shown in (finished["emoji"], done(services.url, copy_id))
    ]
    assert digests[0] == digests[1]
