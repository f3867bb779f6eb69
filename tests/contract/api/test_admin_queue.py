"""The queue as operators see and steer it: lanes, lists, pausing, clearing, asking again; all of it written down."""

from dataclasses import replace
from typing import Any

import pytest

from contract.api.counter import ANNA, Counter, pointers, the_problem
from imagetron_chassis.principals import Principal
from imagetron_contracts.topology import DERIVER_RENDERS, QUEUES
from imagetron_gateway.adapters.jobs import JOBS
from imagetron_gateway.domain.job import Job, JobStatus
from support.builders import a_variation_request, stage_failed
from support.eventually import eventually
from support.operating import a_letter

QUEUE = "/api/admin/queue"
BERT = Principal(owner="bert", scopes=frozenset({"images:read", "images:write"}))


async def submitted(counter: Counter, name: str, *, families: tuple[str, ...] = ("square",), dx: bool = True) -> Job:
    answer = await counter.submit(a_variation_request(name=name, families=list(families), isDxJob=dx))
    assert answer.status_code == 202, answer.text
    return await counter.job(answer.json()["id"])


async def failed(counter: Counter, name: str, **options: Any) -> Job:
    job = await submitted(counter, name, **options)
    return await counter.play(job.id, *(stage_failed(job, family) for family in job.families))


async def ask(counter: Counter, path: str, **body: Any) -> Any:
    return await counter.client.post(f"{QUEUE}/{path}", json=body)


async def did(counter: Counter) -> list[str]:
    lines = (await counter.get("/api/admin/audit")).json()["items"]
    return [line["what"] for line in lines][::-1]


@pytest.mark.parametrize(
    "route",
    [
        "GET /api/admin/queue",
        "GET /api/admin/queue/jobs",
        "POST /api/admin/queue/lanes/batch/pause",
        "POST /api/admin/queue/lanes/batch/resume",
        "POST /api/admin/queue/clear",
        "POST /api/admin/queue/retry",
        "GET /api/admin/audit",
        "GET /api/admin/events",
        "GET /api/admin/dead-letters",
        "GET /api/admin/dead-letters/deriver.renders-generated",
        "GET /api/admin/dead-letters/deriver.renders-generated/x",
        "POST /api/admin/dead-letters/deriver.renders-generated/replay",
        "POST /api/admin/dead-letters/deriver.renders-generated/drop",
    ],
)
async def test_who_may_read_and_write_pictures_is_no_operator(counter: Counter, route: str):
    counter.principal = BERT
    method, path = route.split()

    problem = the_problem(await counter.client.request(method, path, json={}), 403)

    assert "admin" in problem["detail"]


async def test_the_scope_admin_shows_the_jobs_of_all_owners(counter: Counter):
    await submitted(counter, "annas")
    counter.principal = Principal(owner="root", scopes=frozenset({"admin"}))

    jobs = (await counter.get(f"{QUEUE}/jobs")).json()["items"]

    assert [(job["name"], job["owner"]) for job in jobs] == [("annas", "anna")]
    the_problem(await counter.get("/api/images/variations"), 403)


async def test_the_status_shows_lanes_queues_and_dead_letters(counter: Counter):
    first = await submitted(counter, "first", families=("square", "landscape"))
    counter.clock.advance(60)
    await submitted(counter, "second")
    await submitted(counter, "third", dx=False)
    await counter.play(first.id)
    counter.letters.bury(DERIVER_RENDERS, a_letter())

    status = (await counter.get(QUEUE)).json()

    interactive, batch = status["lanes"]
    assert interactive == {
        "lane": "interactive",
        "waitingJobs": 1,
        "oldestWaitingSince": "2026-01-01T12:01:00Z",
        "familiesInFlight": 2,
        "window": 32,
        "paused": None,
        "closed": None,
    }
    assert (batch["lane"], batch["waitingJobs"], batch["familiesInFlight"]) == ("batch", 1, 0)
    assert {queue["queue"]: queue["deadLetters"] for queue in status["queues"]} == {
        queue.name: int(queue is DERIVER_RENDERS) for queue in QUEUES
    }


async def test_the_lanes_are_shown_also_while_the_broker_is_away(counter: Counter):
    counter.letters.is_away = True

    status = (await counter.get(QUEUE)).json()

    assert status["queues"] is None
    assert len(status["lanes"]) == 2


async def test_a_paused_lane_says_who_when_and_why_until_it_is_resumed(counter: Counter):
    paused = await ask(counter, "lanes/batch/pause", reason="a new model")

    assert paused.json() == {
        "lane": "batch",
        "paused": {"by": "anna", "at": "2026-01-01T12:00:00Z", "reason": "a new model"},
        "wasPaused": False,
    }
    [interactive, batch] = (await counter.get(QUEUE)).json()["lanes"]
    assert (interactive["paused"], batch["paused"]) == (None, paused.json()["paused"])

    resumed = await ask(counter, "lanes/batch/resume")
    assert resumed.json() == {"lane": "batch", "paused": None, "wasPaused": True}
    assert (await ask(counter, "lanes/batch/resume")).json()["wasPaused"] is False


async def test_resuming_admits_at_once(counter: Counter):
    await counter.admission.start()
    await eventually(lambda: counter.rounds == 1)

    await ask(counter, "lanes/batch/resume")

    await eventually(lambda: counter.rounds == 2)
    await counter.admission.stop()


async def test_a_second_pause_keeps_the_first_ones_words(counter: Counter):
    first = (await ask(counter, "lanes/batch/pause", reason="a new model")).json()
    counter.clock.advance(60)
    counter.principal = replace(ANNA, owner="bert")

    second = (await ask(counter, "lanes/batch/pause", reason="me too")).json()

    assert second == {**first, "wasPaused": True}


async def test_active_jobs_are_listed_with_age_and_progress(counter: Counter):
    job = await submitted(counter, "first", families=("square", "landscape"), dx=False)
    counter.clock.advance(90)
    await counter.play(job.id, stage_failed(job, "square"))
    await failed(counter, "over")

    [shown] = (await counter.get(f"{QUEUE}/jobs")).json()["items"]

    assert (shown["id"], shown["status"], shown["lane"], shown["owner"]) == (job.id, "running", "batch", "anna")
    assert (shown["familiesDone"], shown["familiesTotal"], shown["ageSeconds"]) == (1, 2, 90)
    assert (await counter.get(f"{QUEUE}/jobs?lane=interactive")).json() == {"items": [], "next": None}


@pytest.mark.parametrize(("order", "names"), [("oldest", ["a", "b", "c"]), ("newest", ["c", "b", "a"])])
async def test_active_jobs_come_in_the_order_asked_for_page_by_page(counter: Counter, order: str, names: list[str]):
    for name in ("a", "b", "c"):
        await submitted(counter, name)
        counter.clock.advance(1)

    first = (await counter.get(f"{QUEUE}/jobs?order={order}&limit=2")).json()
    second = (await counter.get(f"{QUEUE}/jobs?order={order}&limit=2&after={first['next']}")).json()

    assert [job["name"] for job in (*first["items"], *second["items"])] == names
    assert second["next"] is None
    assert pointers(the_problem(await counter.get(f"{QUEUE}/jobs?after=x"), 422)) == ["?after"]


async def test_clearing_shows_first_what_it_would_remove(counter: Counter):
    job = await failed(counter, "over", families=("square", "landscape"))

    dry = (await ask(counter, "clear")).json()

    assert dry["dryRun"] is True
    assert [(item["id"], item["name"]) for item in dry["items"]] == [(job.id, "over")]
    assert (await counter.job(job.id)).status is JobStatus.FAILED
    assert await did(counter) == []


async def test_clearing_removes_failed_jobs_without_pictures_and_nothing_else(counter: Counter):
    gone = await failed(counter, "over")
    running = await submitted(counter, "running")
    done = await submitted(counter, "done")
    await counter.publish(done.id)
    partial = await submitted(counter, "partial", families=("square", "landscape"))
    await counter.publish(partial.id, ["square"])
    await counter.play(partial.id, stage_failed(partial, "landscape"))
    await told(counter)

    cleared = (await ask(counter, "clear", dryRun=False)).json()

    assert (cleared["done"], cleared["complete"]) == (1, True)
    assert [item["id"] for item in cleared["items"]] == [gone.id]
    the_problem(await counter.get(f"/api/jobs/{gone.id}"), 404)
    for kept in (running, done, partial):
        assert (await counter.get(f"/api/jobs/{kept.id}")).status_code == 200
    assert await did(counter) == ["jobs.clear", "jobs.cleared"]
    await submitted(counter, "over")  # the name is free again


async def test_a_failed_job_that_still_shows_pictures_of_an_earlier_run_is_not_cleared(counter: Counter):
    job = await submitted(counter, "old")
    await counter.publish(job.id)
    await counter.client.post(f"/api/images/variations/{job.id}/regenerate")
    again = await counter.job(job.id)
    await counter.play(job.id, stage_failed(again, "square"))
    assert (await counter.job(job.id)).status is JobStatus.FAILED

    assert (await ask(counter, "clear", dryRun=False)).json()["items"] == []


async def test_a_job_with_an_event_that_is_not_told_yet_is_not_cleared(counter: Counter):
    job = await failed(counter, "over")
    job = await counter.job(job.id)
    entry = {"id": "1", "exchange": "imagetron.events", "routingKey": "image.x", "body": "{}"}
    untold = Job.model_validate(job.model_dump(by_alias=True) | {"outbox": [entry], "version": job.version + 1})
    assert await counter.jobs.replace(untold, ANNA, if_version=job.version)

    assert (await ask(counter, "clear", dryRun=False)).json()["items"] == []


async def test_clearing_keeps_to_its_age_and_its_limit(counter: Counter):
    for name in ("a", "b", "c"):
        await failed(counter, name)
        counter.clock.advance(3600)

    old = (await ask(counter, "clear", olderThanHours=1.5, dryRun=False)).json()
    assert [item["name"] for item in old["items"]] == ["a", "b"]
    await failed(counter, "d")
    some = (await ask(counter, "clear", limit=1, dryRun=False)).json()
    assert ([item["name"] for item in some["items"]], some["complete"]) == (["c"], False)


async def test_what_failed_is_asked_again_by_id(counter: Counter):
    job = await failed(counter, "over", families=("square", "landscape"))
    running = await submitted(counter, "running")

    retried = (await ask(counter, "retry", ids=[job.id, running.id, "nobody"])).json()

    assert retried["done"] == 1
    good, busy, missing = retried["items"]
    assert (good["id"], good["families"], good["refused"]) == (job.id, ["square", "landscape"], None)
    assert "nothing to retry" in busy["refused"]
    assert missing["refused"] == "there is no such job"
    again = await counter.job(job.id)
    assert (again.status, {family.attempt for family in again.families.values()}) == (JobStatus.QUEUED, {2})
    assert await did(counter) == ["jobs.retry", "jobs.retried"]


async def test_what_failed_of_late_is_asked_again(counter: Counter):
    await failed(counter, "long-ago")
    counter.clock.advance(7200)
    recent = [await failed(counter, name) for name in ("a", "b")]

    dry = (await ask(counter, "retry", withinHours=1, dryRun=True)).json()
    assert [item["id"] for item in dry["items"]] == [job.id for job in recent]
    assert (await counter.job(recent[0].id)).status is JobStatus.FAILED
    assert await did(counter) == []
    some = (await ask(counter, "retry", withinHours=1, limit=1)).json()
    rest = (await ask(counter, "retry", withinHours=1)).json()

    assert ([item["name"] for item in some["items"]], some["complete"]) == (["a"], False)
    assert ([item["name"] for item in rest["items"]], rest["complete"]) == (["b"], True)


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("retry", {}, ""),
        ("retry", {"ids": ["a"], "withinHours": 1}, ""),
        ("retry", {"ids": ["a", "a"]}, "/ids"),
        ("retry", {"ids": [""]}, "/ids/0"),
        ("retry", {"ids": ["\0"]}, "/ids/0"),
        ("retry", {"withinHours": 0}, "/withinHours"),
        ("retry", {"withinHours": 1, "limit": 201}, "/limit"),
        ("retry", {"withinHours": 1, "everything": True}, "/everything"),
        ("clear", {"dryRun": "no"}, "/dryRun"),
        ("clear", {"olderThanHours": -1}, "/olderThanHours"),
        ("clear", {"limit": 0}, "/limit"),
        ("lanes/batch/pause", {"reason": "x" * 501}, "/reason"),
        ("lanes/batch/pause", {"reason": "\x1b[2J"}, "/reason"),
        ("lanes/batch/pause", {"until": "tomorrow"}, "/until"),
    ],
)
async def test_what_cannot_be_meant_is_refused(counter: Counter, path: str, body: dict[str, Any], pointer: str):
    problem = the_problem(await ask(counter, path, **body), 422)

    assert pointers(problem) == [pointer]
    assert await did(counter) == []


async def test_a_lane_that_does_not_exist_is_refused(counter: Counter):
    the_problem(await ask(counter, "lanes/express/pause"), 422)
    the_problem(await ask(counter, "lanes/express/resume"), 422)


async def test_the_audit_names_who_did_what(counter: Counter):
    await ask(counter, "lanes/batch/pause", reason="a new model")
    counter.clock.advance(60)
    await ask(counter, "lanes/batch/resume")

    newest = (await counter.get("/api/admin/audit?limit=1")).json()
    older = (await counter.get(f"/api/admin/audit?limit=1&after={newest['next']}")).json()

    [line] = older["items"]
    assert line["id"]
    assert (line["by"], line["what"], line["at"]) == ("anna", "lane.pause", "2026-01-01T12:00:00Z")
    assert line["details"] == {"lane": "batch", "reason": "a new model"}
    assert newest["items"][0]["what"] == "lane.resume"
    assert older["next"] is None


async def told(counter: Counter) -> None:
    """The relay has sent everything: no job has a message left."""
    page = await counter.jobs.page(ANNA, after=None, limit=50)
    for job in page.jobs:
        sent = job.model_copy(update={"outbox": (), "outbox_at": None, "version": job.version + 1})
        assert await counter.jobs.replace(sent, ANNA, if_version=job.version)


async def corrupt(counter: Counter, job: Job) -> None:
    document = await counter.memory.get(JOBS, job.id)
    assert document is not None
    broken = document | {"model": ["of another release"], "version": document["version"] + 1}
    assert await counter.memory.replace(JOBS, broken, if_version=document["version"])


async def test_a_job_that_cannot_be_read_keeps_no_other_from_being_asked_again(counter: Counter):
    first, broken, last = [await failed(counter, name) for name in ("first", "broken", "last")]
    await corrupt(counter, broken)

    items = (await ask(counter, "retry", ids=[first.id, broken.id, last.id])).json()["items"]

    assert [item["refused"] is None for item in items] == [True, False, True]
    assert "cannot be read" in items[1]["refused"]
    assert await did(counter) == ["jobs.retry", "jobs.retried"]


async def test_a_job_that_cannot_be_read_does_not_hide_those_that_ended_after_it(counter: Counter):
    jobs = []
    for number in range(4):
        jobs.append(await failed(counter, f"job-{number}"))
        counter.clock.advance(1)
    await corrupt(counter, jobs[1])

    answer = (await ask(counter, "retry", withinHours=1, limit=2, dryRun=True)).json()
    assert (answer["done"], answer["complete"]) == (1, False)
    cleared = (await ask(counter, "clear", olderThanHours=0, limit=10, dryRun=False)).json()
    assert (cleared["done"], cleared["complete"]) == (3, True)
