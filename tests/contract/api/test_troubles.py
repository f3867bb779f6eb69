"""Headers of every answer, traces, log lines, and what callers learn of troubles that are ours."""

import re

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from contract.api.counter import VARIATIONS, Counter, opened, the_problem
from imagetron_chassis.documents import DocumentsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.port import DocumentRefused
from support.builders import JOB_ID, a_variation_request

TRACE = "0af7651916cd43dd8448eb211c80319c"


class AwayDocuments(InMemoryDocuments):
    """A store that cannot answer now."""

    async def insert(self, *_, **__):
        raise DocumentsUnavailable("mongodb://10.0.0.7:27017: connection refused (pymongo)")

    get = find = replace = insert


class RefusingDocuments(InMemoryDocuments):
    """A store that says that we have a bug."""

    async def get(self, *_, **__):
        raise DocumentRefused("the text at jobs.finalPrompt holds a NUL")


class BrokenDocuments(InMemoryDocuments):
    """A store whose adapter has a bug."""

    async def get(self, *_, **__):
        raise ZeroDivisionError("secret of /usr/lib/driver.py")


@pytest.mark.parametrize("path", [VARIATIONS, f"{VARIATIONS}/{JOB_ID}", f"{VARIATIONS}/name/x", "/api/images/x/square"])
async def test_a_store_that_is_away_is_told_as_a_passing_trouble(path):
    async with opened(Counter(documents=AwayDocuments())) as counter:
        answers = [await counter.get(path), await counter.submit(a_variation_request())]

    for answer in answers:
        problem = the_problem(answer, 503, "unavailable")
        assert problem["retryable"] is True
        assert int(answer.headers["Retry-After"]) >= 1
        assert "10.0.0.7" not in answer.text


async def test_a_bug_is_answered_without_its_details_and_can_be_quoted():
    async with opened(Counter(documents=BrokenDocuments())) as counter:
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X_Request_ID": "mine"}
        with capture_logs() as lines:
            answer = await counter.get(f"{VARIATIONS}/{JOB_ID}", **headers)

    problem = the_problem(answer, 500, "internal")
    assert [line["event"] for line in lines] == ["request_crashed", "request_handled"]
    assert "secret" not in answer.text
    assert problem["trace_id"] == TRACE
    assert answer.headers["X-Request-ID"] == "mine"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", [VARIATIONS, "/nowhere", "/api/images/models", "/api/images/x/y", "/cdn/a/b", "/openapi.json"]
)
async def test_every_answer_carries_the_safe_headers_and_a_request_id(counter, path):
    answer = await counter.get(path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-ID"])
    assert "server" not in answer.headers


async def test_a_callers_request_id_and_trace_come_back(counter):
    answer = await counter.get(VARIATIONS, X_Request_ID="order-7.b_c", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")

    assert answer.headers["X-Request-ID"] == "order-7.b_c"
    assert answer.headers["traceparent"].split("-")[1] == TRACE


async def test_a_problem_names_the_callers_trace(counter):
    answer = await counter.get("/nowhere", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")

    assert the_problem(answer, 404)["trace_id"] == TRACE


async def test_the_trace_of_a_submission_is_kept_with_the_job(counter):
    answer = await counter.submit(a_variation_request(), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    job = await counter.job(answer.json()["id"])

    assert job.traceparent is not None
    assert job.traceparent.split("-")[1] == TRACE


@pytest.mark.parametrize("given", ["", "a b", "a\x1b[31m", "x" * 101, "a;b", "<a>"])
async def test_a_request_id_that_could_forge_a_log_line_is_replaced(counter, given):
    answer = await counter.get(VARIATIONS, X_Request_ID=given)

    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-ID"])


async def test_an_unreadable_trace_is_ignored(counter):
    assert (await counter.get(VARIATIONS, traceparent="00-x-y-z")).status_code == 200


async def test_a_refusal_by_the_store_is_our_bug_and_not_called_retryable():
    async with opened(Counter(documents=RefusingDocuments())) as counter:
        answer = await counter.get(f"{VARIATIONS}/{JOB_ID}")

    assert the_problem(answer, 500, "internal")["retryable"] is False
    assert "NUL" not in answer.text


async def test_no_log_line_holds_a_prompt_a_query_or_a_body(counter):
    canary = "canary-of-the-prompt"
    with capture_logs() as lines:
        await counter.submit(a_variation_request({"prompt": canary}))
        await counter.submit(a_variation_request({"prompt": canary, "negativePrompt": canary, "seed": -1}))
        await counter.submit({"prompt": canary})
        await counter.post(canary)
        await counter.get(f"{VARIATIONS}?after={canary}")
        await counter.get(f"/api/images/{canary}/square")

    assert [line["status"] for line in lines if line["event"] == "request_handled"] == [202, 422, 422, 400, 422, 404]
    assert canary not in repr(lines)


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
async def test_probes_are_answered_and_leave_no_log_line(counter, path):
    with capture_logs() as lines:
        answer = await counter.get(path)

    assert (answer.status_code, lines) == (200, [])


@pytest.mark.parametrize("path", [VARIATIONS, "/nowhere", f"{VARIATIONS}/{JOB_ID}", "/api/images/x/y", "/cdn/a/b"])
async def test_an_answer_that_says_nothing_of_caches_is_not_kept_by_them(counter, path):
    assert (await counter.get(path)).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["BREW", "A" * 300])
async def test_a_method_of_the_callers_invention_is_not_repeated_in_the_log(counter, method):
    with capture_logs() as lines:
        answer = await counter.client.request(method, VARIATIONS)

    assert answer.status_code == 405
    assert [line["method"] for line in lines] == ["_OTHER"]


async def test_a_caller_who_leaves_before_the_end_of_the_body_is_no_error_of_ours(counter):
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("nobody is there to be answered")

    scope = {"type": "http", "method": "POST", "path": VARIATIONS, "query_string": b"", "headers": []}
    with capture_logs() as lines:
        await counter.application(scope, gone, send)

    assert [line["status"] for line in lines] == [499]
