"""Idempotency-Key: sent again, a request is carried out once and answered alike; used for something else, it is refused."""

import asyncio

import pytest

from contract.api.counter import JSON, VARIATIONS, Counter, opened, pointers, the_problem
from imagetron_chassis.principals import Principal
from support.builders import a_variation_request, stage_failed

KEY = "4f0c1a2e-order-17"
BERT = Principal(owner="bert", scopes=frozenset({"*"}))


async def test_a_request_sent_again_makes_no_second_job_and_gets_the_first_answer(counter):
    first = await counter.submit(a_variation_request(), Idempotency_Key=KEY)
    await counter.publish(first.json()["id"])
    again = await counter.submit(a_variation_request(), Idempotency_Key=KEY)

    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert await counter.stored() == 1


async def test_order_and_spacing_of_the_body_do_not_make_it_another_request(counter):
    body = a_variation_request()
    first = await counter.submit(body, Idempotency_Key=KEY)
    again = await counter.submit(dict(reversed(body.items())), Idempotency_Key=f'"{KEY}"')

    assert again.json() == first.json()


async def test_a_default_that_is_said_is_the_same_request_as_one_that_is_not(counter):
    body = a_variation_request(isDxJob=False)
    first = await counter.submit(body, Idempotency_Key=KEY)
    body.pop("isDxJob")
    assert (await counter.submit(body, Idempotency_Key=KEY)).json() == first.json()

    job_id = await failed_job(counter, "failed")
    bodies: list[dict[str, list[str]] | None] = [None, {}, {"families": []}]
    retries = [await counter.client.post(f"/api/jobs/{job_id}/retry", headers=a_key(), json=body) for body in bodies]
    assert [answer.status_code for answer in retries] == [202, 202, 202]
    assert (await counter.job(job_id)).families["square"].attempt == 2


async def test_a_request_keeps_its_fingerprint_when_the_api_learns_new_options(counter):
    """While gateways of two versions answer, and long after: a request that was sent before is still known."""
    answer = await counter.submit(a_variation_request(), Idempotency_Key=KEY)

    known = (await counter.job(answer.json()["id"])).idempotency
    assert known is not None
    assert known.fingerprint == "34b2745f0ba5b1dd97f1d0c8beb23088942733031a8b1540e7b39e4a64fdc04e"


async def test_a_parameter_that_is_said_is_not_the_models_default(counter):
    """Zero stands for "the model's own" in our schema, and is a value of its own when a caller says it."""
    body = a_variation_request({"model": "turbo"})
    for name in ("inferenceSteps", "guidanceScale"):
        body["generation"].pop(name)
    await counter.submit(body, Idempotency_Key=KEY)
    body["generation"]["guidanceScale"] = 0
    the_problem(await counter.submit(body, Idempotency_Key=KEY), 422, "idempotency-key-reused")


async def test_another_body_under_the_same_key_is_refused_and_nothing_is_stored(counter):
    await counter.submit(a_variation_request(), Idempotency_Key=KEY)
    answer = await counter.submit(a_variation_request(name="another"), Idempotency_Key=KEY)

    problem = the_problem(answer, 422, "idempotency-key-reused")
    assert pointers(problem) == ["Idempotency-Key"]
    assert await counter.stored() == 1


async def test_the_same_key_of_another_caller_is_another_request(counter):
    first = await counter.submit(a_variation_request(), Idempotency_Key=KEY)
    counter.principal = BERT
    second = await counter.submit(a_variation_request(name="of-bert"), Idempotency_Key=KEY)

    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]


async def test_without_a_key_a_repeated_name_is_still_a_conflict(counter):
    await counter.submit(a_variation_request(), Idempotency_Key=KEY)

    the_problem(await counter.submit(a_variation_request()), 409, "name-taken")


async def test_what_was_accepted_is_answered_again_although_no_model_could_serve_it_now():
    async with opened(Counter(max_waiting=1)) as counter:
        first = await counter.submit(a_variation_request(), Idempotency_Key=KEY)
        counter.clock.advance(60)
        the_problem(await counter.submit(a_variation_request(name="another")), 503, "backlog-full")
        again = await counter.submit(a_variation_request(), Idempotency_Key=KEY)

    assert again.json() == first.json()


async def test_many_at_once_make_one_job(counter):
    answers = await asyncio.gather(*(counter.submit(a_variation_request(), Idempotency_Key=KEY) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert await counter.stored() == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, '"open', 'in"side', "tab\there"])
async def test_a_key_that_cannot_be_one_is_refused_by_name(counter, key):
    answer = await counter.submit(a_variation_request(), Idempotency_Key=key)

    problem = the_problem(answer, 400, "bad-header")
    assert "Idempotency-Key" in problem["detail"]
    assert await counter.stored() == 0


async def test_two_keys_in_one_request_are_refused(counter):
    headers = [("Content-Type", "application/json"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await counter.client.post(VARIATIONS, json=a_variation_request(), headers=headers)

    the_problem(answer, 400, "bad-header")


async def test_a_retry_sent_again_retries_once(counter):
    job_id = await failed_job(counter)
    first, again = [await counter.client.post(f"/api/jobs/{job_id}/retry", headers=a_key()) for _ in range(2)]

    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await counter.job(job_id)).families["square"].attempt == 2


async def test_a_regeneration_sent_again_begins_one_revision(counter):
    job_id = await failed_job(counter)
    answers = [await counter.client.post(f"{VARIATIONS}/{job_id}/regenerate", headers=a_key()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (await counter.job(job_id)).revision == 2


async def test_two_ways_to_write_the_same_query_are_one_request(counter):
    job_id = await failed_job(counter)
    for query in ("?reseed=true", "?reseed=1"):
        answer = await counter.client.post(f"{VARIATIONS}/{job_id}/regenerate{query}", headers=a_key())
        assert answer.status_code == 202
    assert (await counter.job(job_id)).revision == 2


@pytest.mark.parametrize("query", ["?reseed=true", "?reseed=1"])
async def test_a_key_used_for_another_change_of_the_job_is_refused(counter, query):
    job_id = await failed_job(counter)
    await counter.client.post(f"{VARIATIONS}/{job_id}/regenerate", headers=a_key())
    answer = await counter.client.post(f"{VARIATIONS}/{job_id}/regenerate{query}", headers=a_key())

    the_problem(answer, 422, "idempotency-key-reused")


async def test_the_key_of_the_submission_is_refused_for_a_change_of_the_same_job(counter):
    accepted = (await counter.submit(a_variation_request(), Idempotency_Key="retry-1")).json()
    answer = await counter.client.post(f"/api/jobs/{accepted['id']}/retry", headers=a_key())

    the_problem(answer, 422, "idempotency-key-reused")


def a_key() -> dict[str, str]:
    return JSON | {"Idempotency-Key": "retry-1"}


async def failed_job(counter: Counter, name: str = "hero-sunset-beach") -> str:
    accepted = (await counter.submit(a_variation_request(name=name, families=["square"]))).json()
    job = await counter.job(accepted["id"])
    await counter.play(job.id, stage_failed(job))
    return job.id
