"""`/image/*`, as the two-step pipeline's clients know it: paths, bodies and words are frozen."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from contract.api.counter import Counter, opened, the_problem
from imagetron_chassis.documents import Collection
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.errors import Transient
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.rpc import EnhancePrompt, PromptEnhanced, Refusal, Source
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.job import JobKind
from support.builders import a_family_started, a_variation_request, family_published, stage_failed, url_of
from support.prompts import a_refusal

ENHANCE = "/image/enhance-prompt"
EXECUTE = "/image/execute-prompt"
JOB_ID = re.compile(r"imgjob_[0-9a-f]{32}")
FINAL = "High-fidelity modern SaaS homepage category card UI"


def an_execution(**changes: Any) -> dict[str, Any]:
    body = {
        "intent": "homepage category card",
        "rawPrompt": "simple saas ui",
        "finalPrompt": FINAL,
        "imageCount": 3,
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


async def executed(counter, **changes: Any) -> str:
    answer = await counter.submit(an_execution(**changes), EXECUTE)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


async def status(counter, job_id: str) -> dict[str, Any]:
    answer = await counter.get(f"/image/job-status/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def uuid_of(job_id: str) -> str:
    digits = job_id.removeprefix("imgjob_")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# Step 1: propose


async def test_an_enhancement_is_the_final_prompt_and_nothing_else(counter):
    counter.prompts.answer(EnhancePrompt, PromptEnhanced(final_prompt=FINAL, source=Source.MODEL))

    answer = await counter.submit({"intent": "homepage category card", "prompt": "simple saas ui"}, ENHANCE)

    assert (answer.status_code, answer.json()) == (200, {"finalPrompt": FINAL})
    assert counter.prompts.asked == [
        EnhancePrompt(intent="homepage category card", prompt="simple saas ui", budget_seconds=1.5)
    ]


async def test_an_enhancement_that_no_language_model_wrote_says_so(counter):
    counter.prompts.answer(EnhancePrompt, PromptEnhanced(final_prompt=FINAL, source=Source.OFFLINE))

    answer = await counter.submit({"intent": "card", "prompt": "ui"}, ENHANCE)

    assert answer.json() == {"finalPrompt": FINAL, "source": "offline"}


class WatchedDocuments(InMemoryDocuments):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    async def insert(self, collection: Collection, document: Mapping[str, Any]) -> None:
        self.writes.append(collection.name)
        await super().insert(collection, document)

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        self.writes.append(collection.name)
        return await super().replace(collection, document, if_version=if_version)


async def test_an_enhancement_stores_nothing():
    documents = WatchedDocuments()
    async with opened(Counter(documents=documents)) as counter:
        counter.prompts.answer(EnhancePrompt, PromptEnhanced(final_prompt=FINAL, source=Source.MODEL))

        assert (await counter.submit({"intent": "card", "prompt": "ui"}, ENHANCE)).is_success
        assert documents.writes == []

        await executed(counter)
        assert documents.writes == ["jobs"]


@pytest.mark.parametrize(
    ("refusal", "status", "code", "retry_after"),
    [
        (a_refusal(Refusal.TIMED_OUT, retryable=True), 503, "language-model-timeout", "2"),
        (a_refusal(Refusal.UNAVAILABLE, retryable=True), 503, "unavailable", "2"),
        (a_refusal(Refusal.RATE_LIMITED, retryable=True, wait=11.2), 503, "language-model-busy", "12"),
        (a_refusal(Refusal.QUOTA_EXCEEDED), 503, "quota-exceeded", None),
        (a_refusal(Refusal.CONTENT_FILTERED), 422, "content-filtered", None),
        (a_refusal(Refusal.INTERNAL), 500, "internal", None),
    ],
    ids=lambda value: value.code.value if hasattr(value, "code") else "",
)
async def test_why_there_is_no_enhancement_is_said_in_one_word(counter, refusal, status, code, retry_after):
    counter.prompts.answer(EnhancePrompt, refusal)

    answer = await counter.submit({"intent": "card", "prompt": "ui"}, ENHANCE)

    problem = the_problem(answer, status, code)
    assert problem["retryable"] is refusal.retryable
    assert answer.headers.get("Retry-After") == retry_after


async def test_a_prompt_service_that_cannot_be_reached_is_unavailable_and_can_be_asked_again(counter):
    counter.prompts.answer(EnhancePrompt, Transient("no answer to ENHANCE_PROMPT within 1.8 s"))

    problem = the_problem(await counter.submit({"intent": "card", "prompt": "ui"}, ENHANCE), 503, "unavailable")

    assert problem["retryable"] is True


# Step 2: execute


async def test_an_execution_answers_at_once_with_an_id_and_queued(counter):
    answer = await counter.submit(an_execution(), EXECUTE)

    body = answer.json()
    assert (answer.status_code, body.keys(), body["status"]) == (202, {"jobId", "status"}, "QUEUED")
    assert JOB_ID.fullmatch(body["jobId"])
    assert answer.headers["Location"] == f"/image/job-status/{body['jobId']}"


async def test_an_execution_keeps_what_was_approved_and_how_it_came_about(counter):
    job = await counter.job(uuid_of(await executed(counter)))

    assert (job.kind, job.intent, job.raw_prompt) == (JobKind.IMAGE, "homepage category card", "simple saas ui")
    assert (job.final_prompt, job.negative_prompt, job.lane) == (FINAL, "", Lane.INTERACTIVE)
    assert list(job.families) == ["square"]
    seeds = [image.seed for image in job.families["square"].images]
    assert seeds == [job.parameters.seed, job.parameters.seed + 1, job.parameters.seed + 2]


@pytest.mark.parametrize(
    ("given", "images"),
    [
        (1, 1),
        (3, 3),
        (5, 5),
        (0, 1),
        (-1, 1),
        (-(10**30), 1),
        (6, 5),
        (9, 5),
        (10**30, 5),
        (3.0, 3),
        (-0.0, 1),
        (1e30, 5),
        (..., 1),
    ],
    ids=str,
)
async def test_a_whole_image_count_is_clamped_to_one_to_five_and_one_if_there_is_none(counter, given, images):
    job = await counter.job(uuid_of(await executed(counter, imageCount=given)))

    assert len(job.families["square"].images) == images


@pytest.mark.parametrize(
    "given", [2.5, "3", None, True, False, [], {}, float("nan"), float("inf"), "", "NaN"], ids=repr
)
async def test_an_image_count_that_is_no_whole_number_is_refused_and_nothing_is_stored(counter, given):
    problem = the_problem(await counter.submit(an_execution(imageCount=given), EXECUTE), 422, "invalid-request")

    assert [error["pointer"] for error in problem["errors"]] == ["/imageCount"]
    assert await counter.stored() == 0


TEXTS = {EXECUTE: ("intent", "rawPrompt", "finalPrompt"), ENHANCE: ("intent", "prompt")}
LIMITS = {"intent": 500, "rawPrompt": 4000, "finalPrompt": 4000, "prompt": 4000}
NO_TEXTS = [..., None, 1, 1.5, True, [], ["a"], {"$ne": None}, "", "   ", "\n\t", "a\0b", "a\ud800b"]


def body_for(path: str, **changes: Any) -> dict[str, Any]:
    body = an_execution(**changes) if path == EXECUTE else {"intent": "card", "prompt": "ui"} | changes
    return {name: value for name, value in body.items() if value is not ...}


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, fields in TEXTS.items() for field in fields])
@pytest.mark.parametrize("given", NO_TEXTS, ids=repr)
async def test_a_field_that_is_no_proper_text_is_refused_by_name(counter, path, field, given):
    problem = the_problem(await counter.submit(body_for(path, **{field: given}), path), 422, "invalid-request")

    assert [error["pointer"] for error in problem["errors"]] == [f"/{field}"]
    assert (await counter.stored(), counter.prompts.asked) == (0, [])


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, fields in TEXTS.items() for field in fields])
async def test_a_text_may_have_its_most_characters_and_not_one_more(counter, path, field):
    counter.prompts.answer(EnhancePrompt, PromptEnhanced(final_prompt=FINAL, source=Source.MODEL))
    longest = "\N{MAPLE LEAF}" * LIMITS[field]

    accepted = await counter.submit(body_for(path, **{field: longest}), path)
    problem = the_problem(await counter.submit(body_for(path, **{field: longest + "a"}), path), 422)

    assert accepted.is_success, accepted.text
    most = LIMITS[field]
    assert problem["errors"] == [
        {"pointer": f"/{field}", "detail": f"must have at most {most} characters, not {most + 1}"}
    ]


@pytest.mark.parametrize("path", [EXECUTE, ENHANCE])
@pytest.mark.parametrize("field", ["seed", "negativePrompt", "model", "image_count", "ImageCount", "userId"])
async def test_no_other_field_is_taken(counter, path, field):
    problem = the_problem(await counter.submit(body_for(path, **{field: 1}), path), 422, "invalid-request")

    assert problem["errors"] == [{"pointer": f"/{field}", "detail": "unknown field; remove it"}]
    assert await counter.stored() == 0


@pytest.mark.parametrize("path", [EXECUTE, ENHANCE])
@pytest.mark.parametrize("content", ["[]", "null", '"text"', "1"])
async def test_a_body_that_is_no_object_is_refused(counter, path, content):
    the_problem(await counter.post(content, path), 422, "invalid-request")

    assert await counter.stored() == 0


async def test_the_same_request_under_the_same_key_makes_one_job(counter):
    first = await counter.submit(an_execution(), EXECUTE, Idempotency_Key="one")
    again = await counter.submit(an_execution(), EXECUTE, Idempotency_Key="one")
    other = await counter.submit(an_execution(imageCount=2), EXECUTE, Idempotency_Key="one")

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    the_problem(other, 422, "idempotency-key-reused")
    assert await counter.stored() == 1


# Step 3: look after it


async def test_a_queued_job_has_no_urls_and_no_error(counter):
    job_id = await executed(counter)

    assert await status(counter, job_id) == {"jobId": job_id, "status": "QUEUED", "cdnUrls": []}


async def test_a_job_in_work_is_running(counter):
    job_id = await executed(counter)
    job = await counter.job(uuid_of(job_id))
    await counter.play(job.id, a_family_started(job, "square", indexes=(0, 1, 2)))

    assert (await status(counter, job_id))["status"] == "RUNNING"


async def test_a_done_job_has_the_urls_of_its_images_in_their_order(counter):
    job_id = await executed(counter)
    job = await counter.job(uuid_of(job_id))
    published = family_published(job, "square", indexes=(2, 0, 1))
    await counter.play(job.id, published)

    shown = await status(counter, job_id)

    masters = {image.index: url_of(image.files[0].key) for image in published.images}
    assert shown == {"jobId": job_id, "status": "DONE", "cdnUrls": [masters[0], masters[1], masters[2]]}


async def test_a_job_that_lost_an_image_has_failed_keeps_the_good_urls_and_says_which_one(counter):
    job_id = await executed(counter)
    job = await counter.job(uuid_of(job_id))
    await counter.play(job.id, family_published(job, "square", bad={1: FailureCode.CONTENT_FILTERED}, indexes=(0, 2)))

    shown = await status(counter, job_id)

    assert (shown["status"], len(shown["cdnUrls"])) == ("FAILED", 2)
    assert shown["error"] == "image 2 of 3: image 1: content_filtered"


async def test_retrying_a_failed_job_by_its_own_id_asks_for_the_missing_images_alone(counter):
    job_id = await executed(counter)
    job = await counter.job(uuid_of(job_id))
    await counter.play(job.id, family_published(job, "square", bad={1: FailureCode.INTERNAL}, indexes=(0, 2)))

    answer = await counter.submit({}, f"/api/jobs/{job_id}/retry")

    assert answer.status_code == 202, answer.text
    shown = await status(counter, job_id)
    assert (shown["status"], len(shown["cdnUrls"]), shown.get("error")) == ("QUEUED", 2, None)
    images = (await counter.job(job.id)).families["square"].images
    assert [image.status.value for image in images] == ["published", "waiting", "published"]


async def test_a_job_without_any_image_has_failed_with_its_reasons(counter):
    job_id = await executed(counter, imageCount=1)
    job = await counter.job(uuid_of(job_id))
    await counter.play(job.id, stage_failed(job, "square", message="the model has no memory left"))

    shown = await status(counter, job_id)

    assert (shown["status"], shown["cdnUrls"]) == ("FAILED", [])
    assert "the model has no memory left" in shown["error"]


async def test_a_cancelled_job_has_failed_and_says_that_it_was_cancelled(counter):
    job_id = await executed(counter)
    await counter.submit({}, f"/api/jobs/{job_id}/cancel")

    shown = await status(counter, job_id)

    assert (shown["status"], shown["error"]) == ("FAILED", "cancelled")


@pytest.mark.parametrize(
    "job_id",
    ["imgjob_" + "0" * 32, "imgjob_", "imgjob_xyz", "nothing", "a" * 100, "..%2F..%2Fetc", "%00", "imgjob_" + "A" * 32],
)
async def test_a_job_that_is_not_there_is_not_found(counter, job_id):
    the_problem(await counter.get(f"/image/job-status/{job_id}"), 404)


async def test_a_job_of_another_surface_is_none_of_the_pipelines(counter):
    other = (await counter.submit(a_variation_request())).json()["id"]

    the_problem(await counter.get(f"/image/job-status/{other}"), 404)
    assert (await counter.get("/image/job-list")).json() == []


async def test_the_list_is_a_bare_array_newest_first(counter):
    ids = []
    for number in range(3):
        ids.append(await executed(counter, intent=f"intent {number}"))
        counter.clock.advance(1)

    answer = await counter.get("/image/job-list")

    assert answer.json() == [
        {"jobId": ids[number], "intent": f"intent {number}", "status": "QUEUED", "cdnUrls": []} for number in (2, 1, 0)
    ]
    assert "Link" not in answer.headers


async def test_a_long_list_comes_in_pages_that_the_link_header_leads_through(counter):
    ids = []
    for _ in range(5):
        ids.append(await executed(counter))
        counter.clock.advance(1)

    seen: list[str] = []
    path: str | None = "/image/job-list?limit=2"
    while path:
        answer = await counter.get(path)
        seen += [job["jobId"] for job in answer.json()]
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("Link", ""))
        path = link[1] if link else None

    assert seen == ids[::-1]


async def test_a_foreign_cursor_is_refused(counter):
    problem = the_problem(await counter.get("/image/job-list?after=abc"), 422, "invalid-request")

    assert [error["pointer"] for error in problem["errors"]] == ["?after"]


async def test_an_owner_sees_its_own_jobs_alone(counter):
    job_id = await executed(counter)
    counter.principal = type(counter.principal)(owner="bert", scopes=frozenset({"*"}))

    the_problem(await counter.get(f"/image/job-status/{job_id}"), 404)
    assert (await counter.get("/image/job-list")).json() == []


async def test_a_job_can_be_read_and_cancelled_by_the_pipelines_id_everywhere(counter):
    job_id = await executed(counter)

    job = (await counter.get(f"/api/jobs/{job_id}")).json()
    variation = await counter.get(f"/api/images/variations/{job_id}")

    assert (job["id"], job["finalPrompt"], job["rawPrompt"]) == (uuid_of(job_id), FINAL, "simple saas ui")
    assert (job["name"], job["kind"]) == (job_id, "image")
    assert variation.json()["id"] == uuid_of(job_id)
