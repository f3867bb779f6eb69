"""Good requests, missing things and headers: what `/api/images/variations` answers around its submissions."""

import pytest

from contract.api.counter import BASE, VARIATIONS, pointers, the_problem
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane, Progress
from support.builders import (
    CDN,
    JOB_ID,
    a_family_started,
    a_job_id,
    a_variation_request,
    picture_names,
    public_key,
    renders_generated,
    stage_failed,
)


async def test_a_submission_is_accepted_with_its_address(counter):
    answer = await counter.submit(a_variation_request())
    body = answer.json()
    self_url = f"{BASE}{VARIATIONS}/{body['id']}"

    assert answer.status_code == 202
    assert answer.headers["Location"] == self_url
    assert body == {
        "id": a_job_id(1),
        "status": "pending",
        "name": "hero-sunset-beach",
        "links": {
            "self": self_url,
            "byName": f"{BASE}{VARIATIONS}/name/hero-sunset-beach",
            "regenerate": f"{self_url}/regenerate",
            "job": f"{BASE}/api/jobs/{JOB_ID}",
            "cancel": f"{BASE}/api/jobs/{JOB_ID}/cancel",
            "retry": f"{BASE}/api/jobs/{JOB_ID}/retry",
        },
    }


async def test_a_submission_is_stored_as_asked_and_queued_for_admission(counter):
    job = await counter.job((await counter.submit(a_variation_request())).json()["id"])

    assert (job.owner, job.lane, job.category) == ("anna", Lane.INTERACTIVE, "marketing/seo")
    assert list(job.families) == ["square", "landscape", "facebook-og"]
    assert (job.model, job.served_by) == ("photorealistic", "preview")
    assert (job.parameters.steps, job.parameters.guidance_scale, job.parameters.seed) == (30, 7.5, 1234567890)
    assert job.waiting_since == counter.clock.now()
    assert job.outbox == ()


async def test_the_prompt_is_kept_byte_for_byte(counter):
    prompt = '  Straße,\r\n日本 \u2028 \U0001f3d6 e\u0301 \x1b[31m <b>\\" {$ne: 1} \t '
    accepted = (await counter.submit(a_variation_request({"prompt": prompt, "negativePrompt": prompt}))).json()
    shown = (await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()

    assert (await counter.job(accepted["id"])).final_prompt == prompt
    assert (shown["generation"]["prompt"], shown["generation"]["negativePrompt"]) == (prompt, prompt)


async def test_what_is_left_out_takes_the_models_default_and_a_drawn_seed(counter):
    body = a_variation_request() | {"generation": {"prompt": "a beach"}}
    del body["isDxJob"]
    first = await counter.job((await counter.submit(body | {"name": "one"})).json()["id"])
    second = await counter.job((await counter.submit(body | {"name": "two"})).json()["id"])

    assert (first.model, first.negative_prompt, first.lane) == ("photorealistic", "", Lane.BATCH)
    assert (first.parameters.steps, first.parameters.guidance_scale) == (30, 7.5)
    assert first.parameters.seed != second.parameters.seed
    assert 0 <= first.parameters.seed < 2**53


async def test_aliases_become_the_familys_name(counter):
    accepted = await counter.submit(a_variation_request(families=["social", "square"]))

    assert list((await counter.job(accepted.json()["id"])).families) == ["facebook-og", "square"]


async def test_a_new_variation_shows_everything_that_was_asked(counter):
    accepted = (await counter.submit(a_variation_request(families=["square"]))).json()
    shown = await counter.get(f"{VARIATIONS}/{accepted['id']}")

    assert shown.json() == {
        "id": accepted["id"],
        "name": "hero-sunset-beach",
        "category": "marketing/seo",
        "status": "pending",
        "revision": 1,
        "families": {
            "square": {"status": "waiting", "progress": 0.0, "attempt": 1, "seeds": [1234567890], "error": None}
        },
        "derivatives": [],
        "generation": a_variation_request()["generation"] | {"servedBy": "preview"},
        "isDxJob": True,
        "error": None,
        "timings": {
            "submittedAt": "2026-01-01T12:00:00Z",
            "startedAt": None,
            "finishedAt": None,
            "modelSeconds": 0.0,
            "encodeSeconds": 0.0,
        },
        "createdAt": "2026-01-01T12:00:00Z",
        "updatedAt": "2026-01-01T12:00:00Z",
        "links": accepted["links"],
    }
    assert shown.headers["ETag"] == 'W/"1"'
    assert shown.headers["Cache-Control"] == "no-cache"


async def test_a_published_variation_shows_every_picture_with_both_addresses(counter):
    accepted = (await counter.submit(a_variation_request(families=["square"]))).json()
    await counter.publish(accepted["id"])
    shown = (await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()
    pictures = shown["derivatives"]

    assert (shown["status"], shown["families"]["square"]["progress"]) == ("complete", 1.0)
    assert [picture["name"] for picture in pictures] == picture_names("square")
    assert pictures[1] == {
        "family": "square",
        "name": "og-image",
        "image": 0,
        "url": f"{CDN}/{public_key(accepted['id'], 'square', 'og-image')}",
        "aliasUrl": f"{BASE}/api/images/hero-sunset-beach/square.og-image",
        "width": 1200,
        "height": 1200,
        "format": "webp",
        "bytes": 1000,
        "digest": "square-og-image-0-r1",
    }
    assert pictures[0]["aliasUrl"] == f"{BASE}/api/images/hero-sunset-beach/square"


async def test_a_partial_variation_shows_what_failed_and_keeps_what_did_not(counter):
    accepted = (await counter.submit(a_variation_request(families=["square", "landscape"]))).json()
    await counter.publish(accepted["id"], ["square"])
    await counter.play(
        accepted["id"], stage_failed(await counter.job(accepted["id"]), "landscape", message="no memory")
    )
    shown = (await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()

    assert (shown["status"], shown["error"]) == ("partial", "landscape: no memory")
    assert {picture["family"] for picture in shown["derivatives"]} == {"square"}
    assert shown["families"]["landscape"]["error"] == {
        "stage": "generating",
        "code": "out_of_memory",
        "message": "no memory",
        "retryable": True,
        "supportId": "support-1",
    }


async def test_progress_follows_the_models_steps_and_then_the_stages(counter):
    accepted = (await counter.submit(a_variation_request(families=["square"]))).json()

    async def progress() -> float:
        shown = (await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()
        return float(shown["families"]["square"]["progress"])

    work = {"job_id": accepted["id"], "revision": 1, "family": "square", "index": 0, "steps": 30}
    job = await counter.job(accepted["id"])
    await counter.play(accepted["id"], a_family_started(job))
    seen = [await progress()]
    for attempt, step in ((1, 15), (1, 10), (2, 30)):
        await counter.reports.on_progress(Progress(**work, attempt=attempt, step=step))
        seen.append(await progress())
    await counter.play(accepted["id"], renders_generated(job))
    seen.append(await progress())

    # A hint that was overtaken moves nothing back; one of another attempt counts for nothing.
    assert seen == [0.0, 0.4, 0.4, 0.0, 0.8]


async def test_the_list_pages_over_every_variation_once(counter):
    for number in range(5):
        await counter.submit(a_variation_request(name=f"job-{number}"))
        counter.clock.advance(1)

    names, path = [], f"{VARIATIONS}?limit=2"
    for _ in range(3):
        page = (await counter.get(path)).json()
        assert page.keys() == {"items", "next"}
        names += [item["name"] for item in page["items"]]
        path = f"{VARIATIONS}?limit=2&after={page['next']}"

    assert page["next"] is None
    assert names == [f"job-{number}" for number in (4, 3, 2, 1, 0)]


async def test_a_lists_items_are_whole_variations(counter):
    accepted = (await counter.submit(a_variation_request())).json()

    assert (await counter.get(VARIATIONS)).json() == {
        "items": [(await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()],
        "next": None,
    }


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        *(("limit=0", "?limit"), ("limit=201", "?limit"), ("limit=-1", "?limit"), ("limit=x", "?limit")),
        *(("limit=", "?limit"), ("limit[$ne]=1&limit=0", "?limit"), ("after=x", "?after"), ("after=", "?after")),
        *(("after=%00", "?after"), ("after=%7B%7D", "?after"), ("after=" + "a" * 501, "?after")),
        # A place in another form than this API writes: no time zone.
        ("after=WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwgIjAxOWI3YTZlLTBjMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSJd", "?after"),
    ],
)
async def test_pages_that_cannot_be_asked_for_are_refused(counter, query, pointer):
    problem = the_problem(await counter.get(f"{VARIATIONS}?{query}"), 422, "invalid-request")

    assert pointers(problem) == [pointer]


@pytest.mark.parametrize("limit", [1, 200])
async def test_pages_of_one_to_two_hundred_can_be_asked_for(counter, limit):
    assert (await counter.get(f"{VARIATIONS}?limit={limit}")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"{VARIATIONS}/{JOB_ID}",
            f"{VARIATIONS}/nowhere",
            f"{VARIATIONS}/%00",
            f"{VARIATIONS}/$ne",
            f"{VARIATIONS}/name",
        ),
        *(f"{VARIATIONS}/name/nobody", f"{VARIATIONS}/name/%00", f"{VARIATIONS}/name/{'x' * 2000}", f"{VARIATIONS}/"),
        *("/api/images/nobody/square", "/nowhere", "/", "/api", "/api/images/", "/cdn", "/cdn/", "/cdn/x", "/.env"),
    ],
)
async def test_what_does_not_exist_is_not_found(counter, path):
    the_problem(await counter.get(path), 404, "not-found")


async def test_what_belongs_to_somebody_else_is_answered_like_what_does_not_exist(counter):
    accepted = (await counter.submit(a_variation_request())).json()
    counter.principal = Principal(owner="bert", scopes=frozenset({"*"}))
    own, foreign = f"{VARIATIONS}/{JOB_ID}", f"{VARIATIONS}/{accepted['id']}"

    missing = the_problem(await counter.get(own), 404)
    hidden = the_problem(await counter.get(foreign), 404)
    assert hidden == missing | {"detail": missing["detail"].replace(JOB_ID, accepted["id"])}
    the_problem(await counter.get(f"{VARIATIONS}/name/hero-sunset-beach"), 404)
    the_problem(await counter.client.post(f"{foreign}/regenerate"), 404)
    assert (await counter.get(VARIATIONS)).json() == {"items": [], "next": None}


async def test_a_caller_without_the_scope_is_refused(counter):
    counter.principal = Principal(owner="anna", scopes=frozenset({"images:read"}))

    the_problem(await counter.submit(a_variation_request()), 403, "forbidden")
    the_problem(await counter.client.post(f"{VARIATIONS}/{JOB_ID}/regenerate"), 403)
    assert (await counter.get(VARIATIONS)).status_code == 200
    counter.principal = Principal(owner="anna")
    for path in ("", f"/{JOB_ID}", "/name/x"):
        the_problem(await counter.get(VARIATIONS + path), 403)
    assert (await counter.get("/api/images/models")).status_code == 200
    assert await counter.stored() == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("DELETE", VARIATIONS),
            ("PUT", VARIATIONS),
            ("PATCH", f"{VARIATIONS}/{JOB_ID}"),
            ("POST", f"{VARIATIONS}/{JOB_ID}"),
        ),
        *(("GET", f"{VARIATIONS}/{JOB_ID}/regenerate"), ("POST", "/api/images/models"), ("DELETE", "/cdn/a/b.webp")),
        *(("POST", "/api/images/a/square"), ("TRACE", VARIATIONS), ("OPTIONS", VARIATIONS)),
    ],
)
async def test_methods_that_a_path_does_not_have_are_refused(counter, method, path):
    answer = await counter.client.request(method, path)

    the_problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"]


async def test_regenerating_an_ended_variation_is_accepted_as_the_next_revision(counter):
    accepted = (await counter.submit(a_variation_request())).json()
    await counter.publish(accepted["id"])
    answer = await counter.client.post(f"{VARIATIONS}/{accepted['id']}/regenerate")

    assert (answer.status_code, answer.json()) == (202, accepted)
    assert answer.headers["Location"] == accepted["links"]["self"]
    shown = (await counter.get(f"{VARIATIONS}/{accepted['id']}")).json()
    assert (shown["revision"], shown["status"], len(shown["derivatives"])) == (2, "pending", 11)


async def test_regenerating_a_running_variation_is_a_conflict(counter):
    accepted = (await counter.submit(a_variation_request())).json()
    before = await counter.job(accepted["id"])

    answer = await counter.client.post(f"{VARIATIONS}/{accepted['id']}/regenerate")

    the_problem(answer, 409, "not-allowed")
    assert await counter.job(accepted["id"]) == before


async def test_regenerating_what_does_not_exist_is_not_found(counter):
    the_problem(await counter.client.post(f"{VARIATIONS}/{JOB_ID}/regenerate"), 404)
