"""`/api/jobs/{id}`: everything that is known of a job, cancelling it, retrying what failed."""

import pytest

from contract.api.counter import BASE, JSON, VARIATIONS, pointers, the_problem
from imagetron_chassis.principals import Principal
from imagetron_contracts.spec import cancelled_key
from support.builders import (
    JOB_ID,
    a_family_started,
    a_model_health,
    a_variation_request,
    family_published,
    stage_failed,
)

BERT = Principal(owner="bert", scopes=frozenset({"*"}))
READER = Principal(owner="anna", scopes=frozenset({"images:read"}))


async def submitted(counter, name="hero-sunset-beach", **fields) -> str:
    answer = await counter.submit(a_variation_request(name=name, **fields))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def read(counter, job_id):
    answer = await counter.get(f"/api/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_waiting_job_shows_its_inputs_its_place_and_where_to_go_from_here(counter):
    job_id = await submitted(counter, families=["square"])
    job = await read(counter, job_id)

    assert (job["status"], job["revision"], job["lane"], job["kind"]) == ("queued", 1, "interactive", "variation")
    assert job["finalPrompt"] == a_variation_request()["generation"]["prompt"]
    assert job["queue"] == {"position": 1, "estimatedWaitSeconds": None}
    assert job["families"]["square"]["images"] == [
        {
            "id": f"img_{job['id'].replace('-', '')}_1_square_0",
            "index": 0,
            "seed": 1234567890,
            "status": "waiting",
            "digest": None,
            "provider": None,
            "servedBy": None,
            "seconds": None,
            "gpuSeconds": None,
            "answerDigest": None,
            "priceUsd": 0.0,
            "error": None,
        }
    ]
    assert [line["what"] for line in job["history"]] == ["created"]
    assert job["links"] == {
        "self": f"{BASE}/api/jobs/{job_id}",
        "variation": f"{BASE}{VARIATIONS}/{job_id}",
        "cancel": f"{BASE}/api/jobs/{job_id}/cancel",
        "retry": f"{BASE}/api/jobs/{job_id}/retry",
        "regenerate": f"{BASE}{VARIATIONS}/{job_id}/regenerate",
        "replay": f"{BASE}/api/jobs/{job_id}/replay",
    }


async def test_the_place_counts_the_jobs_of_the_same_lane_that_wait_longer(counter):
    ids = []
    for number, is_dx in enumerate((True, False, True, True)):
        ids.append(await submitted(counter, f"job-{number}", isDxJob=is_dx))
        counter.clock.advance(1)

    assert [(await read(counter, job_id))["queue"]["position"] for job_id in ids] == [1, 1, 2, 3]


async def test_the_estimate_follows_the_pace_of_the_lane_and_is_silent_without_one(counter):
    done = [await submitted(counter, f"done-{number}", families=["square"]) for number in range(4)]
    for job_id in done:
        await counter.publish(job_id)
        counter.clock.advance(10)
    first = await submitted(counter, "first")
    counter.clock.advance(1)
    second = await submitted(counter, "second")
    assert (await read(counter, first))["queue"] == {"position": 1, "estimatedWaitSeconds": 11}
    assert (await read(counter, second))["queue"] == {"position": 2, "estimatedWaitSeconds": 21}

    counter.clock.advance(600)
    assert (await read(counter, first))["queue"]["estimatedWaitSeconds"] is None


async def test_a_closed_lane_says_why_and_estimates_nothing(counter):
    job_id = await submitted(counter)
    await counter.report(a_model_health())
    assert (await read(counter, job_id))["delayed"] is None

    counter.closed = "an operator paused the lane: driver update"
    assert (await read(counter, job_id))["delayed"] == "an operator paused the lane: driver update"


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ([], "no generator has spoken for the model preview of late"),
        ([a_model_health(is_available=False)], "the model preview does not answer just now"),
    ],
)
async def test_a_job_whose_model_does_not_answer_says_so(counter, reports, said):
    job_id = await submitted(counter)
    await counter.report(*reports)

    assert (await read(counter, job_id))["delayed"] == said


async def test_an_ended_job_has_no_place_and_no_delay(counter):
    job_id = await submitted(counter)
    await counter.publish(job_id)
    job = await read(counter, job_id)

    assert (job["status"], job["queue"], job["delayed"]) == ("completed", None, None)
    assert job["finishedAt"] is not None


async def test_a_queued_job_is_cancelled_and_stays_so(counter):
    job_id = await submitted(counter)
    answer = await counter.client.post(f"/api/jobs/{job_id}/cancel")

    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "cancelled", "cancelled")
    assert (await counter.get(f"{VARIATIONS}/{job_id}")).json()["status"] == "cancelled"
    the_problem(await counter.client.post(f"/api/jobs/{job_id}/cancel"), 409, "not-allowed")


async def test_cancelling_a_running_job_leaves_the_marker_that_workers_look_for(counter):
    job_id = await submitted(counter, families=["square"])
    neighbour = await submitted(counter, "neighbour", families=["square"])
    await counter.play(job_id, a_family_started(await counter.job(job_id)))
    answer = await counter.client.post(f"/api/jobs/{job_id}/cancel", json={"expectedStatus": "running"})

    assert answer.json()["status"] == "cancelled"
    assert await counter.work.head(cancelled_key(job_id, 1)) is not None
    assert (await counter.job(job_id)).unmarked_revision is None
    assert (await read(counter, neighbour))["status"] == "queued"
    assert await counter.work.head(cancelled_key(neighbour, 1)) is None


async def test_cancelling_with_another_expectation_changes_nothing(counter):
    job_id = await submitted(counter)
    before = await counter.job(job_id)
    answer = await counter.client.post(f"/api/jobs/{job_id}/cancel", json={"expectedStatus": "running"})

    assert the_problem(answer, 409, "not-allowed")["detail"] == "the job is queued, not running; nothing was changed"
    assert await counter.job(job_id) == before


async def test_retrying_makes_again_only_what_failed(counter):
    job_id = await submitted(counter, families=["square", "landscape"])
    job = await counter.job(job_id)
    await counter.play(job_id, family_published(job), stage_failed(job, "landscape"))
    assert (await read(counter, job_id))["status"] == "partial"

    answer = await counter.client.post(f"/api/jobs/{job_id}/retry")

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["Location"] == f"{BASE}/api/jobs/{job_id}"
    families = (await read(counter, job_id))["families"]
    assert [(family["status"], family["attempt"]) for family in families.values()] == [("completed", 1), ("waiting", 2)]


async def test_one_family_is_retried_by_its_name_or_its_alias(counter):
    job_id = await submitted(counter, families=["square", "facebook-og"])
    job = await counter.job(job_id)
    await counter.play(job_id, stage_failed(job), stage_failed(job, "facebook-og"))

    answer = await counter.client.post(f"/api/jobs/{job_id}/retry", json={"families": ["social"]})

    assert answer.status_code == 202
    job = await counter.job(job_id)
    assert {name: family.attempt for name, family in job.families.items()} == {"square": 1, "facebook-og": 2}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("retry", {"families": ["round"]}, "/families/0"),
        ("retry", {"families": ["social", "facebook"]}, "/families"),
        ("retry", {"family": "square"}, "/family"),
        ("cancel", {"expectedStatus": "busy"}, "/expectedStatus"),
        ("cancel", {"status": "queued"}, "/status"),
    ],
)
async def test_a_body_that_is_not_understood_is_refused_by_its_place(counter, path, body, pointer):
    job_id = await submitted(counter)
    answer = await counter.client.post(f"/api/jobs/{job_id}/{path}", json=body)

    assert pointers(the_problem(answer, 422, "invalid-request")) == [pointer]


@pytest.mark.parametrize(("path", "body"), [("cancel", None), ("cancel", {}), ("retry", None), ("retry", {})])
async def test_retry_of_nothing_and_a_body_left_out(counter, path, body):
    job_id = await submitted(counter)
    content = {"json": body} if body is not None else {"headers": JSON}
    answer = await counter.client.post(f"/api/jobs/{job_id}/{path}", **content)

    if path == "cancel":
        assert answer.status_code == 200
    else:
        the_problem(answer, 409, "not-allowed")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")])
async def test_somebody_elses_job_does_not_exist(counter, method, path):
    job_id = await submitted(counter)
    before = await counter.job(job_id)
    counter.principal = BERT
    foreign, unknown = [
        the_problem(await counter.client.request(method, f"/api/jobs/{wanted}{path}"), 404, "not-found")
        for wanted in (job_id, JOB_ID[:-1] + "f")
    ]

    assert foreign["detail"].replace(job_id, "") == unknown["detail"].replace(JOB_ID[:-1] + "f", "")
    assert await counter.job(job_id) == before


@pytest.mark.parametrize("path", ["cancel", "retry"])
async def test_who_may_only_read_may_not_change(counter, path):
    job_id = await submitted(counter)
    counter.principal = READER

    the_problem(await counter.client.post(f"/api/jobs/{job_id}/{path}"), 403)


async def test_regenerating_with_reseed_draws_another_seed(counter):
    job_id = await submitted(counter)
    await counter.publish(job_id)
    await counter.client.post(f"{VARIATIONS}/{job_id}/regenerate?reseed=true")
    reseeded = await counter.job(job_id)

    assert reseeded.parameters.seed != 1234567890
    assert {family.images[0].seed for family in reseeded.families.values()} == {reseeded.parameters.seed}
