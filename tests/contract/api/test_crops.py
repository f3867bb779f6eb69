"""`/api/jobs/{id}/families/{family}/crops`: how pictures were cut, as JSON and drawn on the render; and cutting them again."""

import struct
import zlib
from typing import Any

import httpx
import pytest

from contract.api.counter import ANNA, BASE, JSON, Counter, pointers, the_problem
from imagetron_chassis.pictures.errors import PictureUnreadable, ReaderCannotStart
from imagetron_chassis.principals import Principal
from imagetron_contracts.crops import Box, Crop, Detection, Evidence, Fit, Misfit, Point, Subject, Window
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import DerivativesRequested, FamilyPublished
from support.builders import (
    CDN,
    JOB_ID,
    a_family,
    a_job,
    a_variation_request,
    derivatives_rendered,
    family_published,
    public_key,
    renders_generated,
    stage_failed,
)

BERT = Principal(owner="bert", scopes=frozenset({"*"}))
READER = Principal(owner="anna", scopes=frozenset({"images:read"}))
FACE = Box(left=0.25, top=0.25, right=0.5, bottom=0.75)
FOUND = Detection(detector="yunet-2023mar", faces=(FACE,), salient=Point(x=0.5, y=0.125))
ZONE = {"left": 0.1, "top": 0, "right": 0.6, "bottom": 0.9}
PNG = {"Accept": "image/png"}


def path(job_id: str, family: str = "square") -> str:
    return f"/api/jobs/{job_id}/families/{family}/crops"


def a_crop(left: int = 0, **fields: Any) -> Crop:
    values = {"window": Window(left=left, top=0, width=1024, height=1024), "evidence": Evidence.FACES, "fit": Fit.WHOLE}
    return Crop(**(values | fields))


def cut(message: FamilyPublished, *crops: Crop) -> FamilyPublished:
    """The files of every image were cut like this, in their order; the last crop is that of all others."""
    images = tuple(
        image.model_copy(
            update={
                "files": tuple(
                    file.model_copy(update={"crop": crops[min(place, len(crops) - 1)]})
                    for place, file in enumerate(image.files)
                ),
                "detection": FOUND,
            }
        )
        for image in message.images
    )
    return message.model_copy(update={"images": images})


async def submitted(counter: Counter, *families: str, **fields: Any) -> str:
    answer = await counter.submit(a_variation_request(families=list(families or ("square",)), **fields))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def finished(counter: Counter, *families: str, crops: tuple[Crop, ...] = (), keeps_render: bool = True) -> str:
    """The id of a job whose families are published, with these crops."""
    job = await counter.job(await submitted(counter, *families))
    for family in job.families:
        renders = renders_generated(job, family)
        if keeps_render:
            await counter.work.put_if_absent(
                renders.images[0].key, b"P6 pixels", content_type="image/x-portable-pixmap"
            )
        await counter.play(job.id, renders, cut(family_published(job, family), *(crops or (a_crop(),))))
    return job.id


async def look(counter: Counter, job_id: str, family: str = "square") -> dict[str, Any]:
    answer = await counter.get(path(job_id, family))
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def patch(
    counter: Counter, job_id: str, body: Any = None, family: str = "square", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await counter.client.patch(path(job_id, family), json={} if body is None else body, headers=named)
    await counter.relay.finish()
    return answer


def asked(counter: Counter) -> list[DerivativesRequested]:
    """What workers were told to cut again."""
    said = [envelope.data for envelope in counter.publisher.envelopes()]
    return [message for message in said if isinstance(message, DerivativesRequested)]


# Looking.


async def test_every_file_says_which_part_of_its_render_it_shows_and_why_there(counter):
    job_id = await finished(counter, crops=(a_crop(7, fit=Fit.PADDED), a_crop(evidence=Evidence.CENTRE)))
    shown = await look(counter, job_id)
    image = shown["images"][0]

    assert (shown["job"], shown["family"], shown["status"], shown["revision"]) == (job_id, "square", "completed", 1)
    assert (shown["derivation"], shown["subject"], shown["recut"]) == (0, None, None)
    assert (image["index"], image["render"]) == (0, {"width": 1024, "height": 1024})
    assert image["detection"] == {
        "detector": "yunet-2023mar",
        "faces": [{"left": 0.25, "top": 0.25, "right": 0.5, "bottom": 0.75}],
        "salient": {"x": 0.5, "y": 0.125},
    }
    assert [file["name"] for file in image["files"]] == ["square", "og-image", "twitter-card", "profile"]
    assert image["files"][0] == {
        "name": "square",
        "format": "webp",
        "size": {"width": 1024, "height": 1024},
        "url": f"{CDN}/{public_key(job_id, 'square', 'square')}",
        "crop": {
            "window": {"left": 7, "top": 0, "width": 1024, "height": 1024},
            "evidence": "faces",
            "fit": "padded",
            "family": None,
        },
    }
    assert image["previewUrl"] == f"{BASE}{path(job_id)}?format=png&image=0"
    assert shown["links"] == {"self": f"{BASE}{path(job_id)}", "job": f"{BASE}/api/jobs/{job_id}"}


async def test_what_is_not_known_yet_is_null(counter):
    job_id = await submitted(counter)
    shown = await look(counter, job_id)

    assert shown["status"] == "waiting"
    assert shown["images"] == [
        {"index": 0, "status": "waiting", "render": None, "detection": None, "files": [], "previewUrl": None}
    ]


async def test_a_file_of_before_windows_were_kept_has_no_crop(counter):
    job_id = await submitted(counter)
    await counter.publish(job_id)

    assert [file["crop"] for file in (await look(counter, job_id))["images"][0]["files"]] == [None] * 4


async def test_no_prompt_is_in_it(counter):
    job_id = await finished(counter)
    job = await counter.job(job_id)

    text = (await counter.get(path(job_id))).text
    assert job.final_prompt not in text
    assert job.negative_prompt not in text


async def test_a_family_is_found_by_its_alias_too(counter):
    job_id = await finished(counter, "facebook-og")

    assert (await look(counter, job_id, "social"))["family"] == "facebook-og"
    assert (await patch(counter, job_id, family="facebook")).json()["family"] == "facebook-og"


async def test_the_tag_is_the_jobs_version(counter):
    job_id = await finished(counter)
    answer = await counter.get(path(job_id))
    version = (await counter.job(job_id)).version

    assert answer.headers["ETag"] == f'"{version}"'
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("private, no-cache", "Accept")


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_a_family_that_the_job_does_not_have_is_not_found_and_those_that_it_has_are_named(counter, method):
    job_id = await finished(counter, "square", "landscape")
    for name in ("hero", "round"):
        answer = await counter.client.request(method, path(job_id, name), json={})

        detail = the_problem(answer, 404, "not-found")["detail"]
        assert detail == f"the job has no family {name!r}; its families: square, landscape"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_somebody_elses_job_does_not_exist(counter, method):
    job_id = await finished(counter)
    before = await counter.job(job_id)
    counter.principal = BERT
    foreign, unknown = [
        the_problem(await counter.client.request(method, path(wanted), json={}), 404, "not-found")
        for wanted in (job_id, JOB_ID[:-1] + "f")
    ]

    assert foreign["detail"].replace(job_id, "") == unknown["detail"].replace(JOB_ID[:-1] + "f", "")
    assert await counter.job(job_id) == before


async def test_who_may_only_read_may_look_and_not_cut(counter):
    job_id = await finished(counter)
    counter.principal = READER

    await look(counter, job_id)
    the_problem(await patch(counter, job_id), 403)


# The preview.


async def test_the_preview_is_a_small_png_of_the_render_with_windows_faces_and_places_on_it(counter):
    job_id = await finished(counter, crops=(a_crop(), a_crop(8, fit=Fit.CUT), a_crop()))
    await patch(counter, job_id, {"safeZone": ZONE, "focalPoint": {"x": 1, "y": 0}})
    answer = await counter.get(path(job_id), **PNG)
    [(data, size, overlay)] = counter.drawer.ordered

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert data == b"P6 pixels"
    assert str(size) == "1024x1024"
    assert [(outline.label, outline.box, outline.is_dashed) for outline in overlay.outlines] == [
        ("square, twitter-card, profile", (0, 0, 1024, 1024), False),
        ("og-image (cut)", (8, 0, 1032, 1024), False),
        ("face", (256, 256, 512, 768), True),
        ("safe zone", (102, 0, 615, 922), True),
    ]
    assert [(spot.label, spot.place) for spot in overlay.spots] == [("salient", (512, 128)), ("focal point", (1024, 0))]
    shapes = [*overlay.outlines, *overlay.spots]
    assert len({shape.colour for shape in shapes}) == len(shapes)


async def test_the_preview_is_a_whole_png_file(counter):
    job_id = await finished(counter)
    data = (await counter.get(path(job_id), **PNG)).content

    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    kinds, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunk = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(chunk),)
        kinds.append(chunk[:4])
        at += 12 + length
    assert kinds == [b"IHDR", b"iTXt", b"IDAT", b"IEND"]


async def test_a_window_that_another_family_borrowed_is_drawn_where_it_lies_and_nowhere_else(counter):
    job_id = await submitted(counter, "square", "landscape")
    job = await counter.job(job_id)
    borrowed = a_crop(40, fit=Fit.BORROWED, family="square")
    for family, crops in (("square", (a_crop(),)), ("landscape", (a_crop(), borrowed, a_crop()))):
        renders = renders_generated(job, family)
        await counter.work.put_if_absent(renders.images[0].key, family.encode(), content_type="image/x-portable-pixmap")
        await counter.play(job_id, renders, cut(family_published(job, family), *crops))

    for family in ("square", "landscape"):
        await counter.get(path(job_id, family), **PNG)
    lender, borrower = counter.drawer.ordered

    assert [outline.label for outline in lender[2].outlines if not outline.is_dashed] == [
        "square, og-image, twitter-card, profile",
        "landscape.hero",
    ]
    assert [outline.label for outline in borrower[2].outlines if not outline.is_dashed] == [
        "landscape, youtube-thumbnail, banner"
    ]
    assert (await look(counter, job_id, "landscape"))["images"][0]["files"][1]["crop"]["family"] == "square"


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        ("", "", "application/json"),
        ("*/*", "", "application/json"),
        ("image/png", "", "image/png"),
        ("Image/PNG;q=0.5, application/json;q=0.4", "", "image/png"),
        ("image/png;q=0.4, application/json", "", "application/json"),
        ("image/png;q=much, */*;q=0.1", "", "application/json"),
        ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "", "image/png"),
        ("text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8", "", "application/json"),
        ("", "?format=png", "image/png"),
        ("image/png", "?format=json", "application/json"),
    ],
)
async def test_the_caller_chooses_between_json_and_picture(counter, accept, query, media_type):
    job_id = await finished(counter)
    answer = await counter.get(path(job_id) + query, Accept=accept)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.headers["Vary"] == "Accept"


async def test_a_render_that_is_no_longer_kept_is_gone_and_the_rest_can_still_be_read(counter):
    job_id = await finished(counter, keeps_render=False)

    problem = the_problem(await counter.get(path(job_id), **PNG), 410, "render-gone")
    assert problem["detail"] == "the render is no longer kept"
    assert not problem["retryable"]
    assert (await look(counter, job_id))["images"][0]["files"][0]["crop"] is not None


async def test_a_render_that_can_no_longer_be_read_is_gone_too(counter):
    job_id = await finished(counter)
    counter.drawer.refusal = PictureUnreadable("the picture is 9x9, not 1024x1024")

    problem = the_problem(await counter.get(path(job_id), **PNG), 410, "render-gone")
    assert problem["detail"] == "the render can no longer be read: the picture is 9x9, not 1024x1024"


async def test_a_preview_that_cannot_be_drawn_now_may_be_asked_for_again(counter):
    job_id = await finished(counter)
    counter.drawer.refusal = ReaderCannotStart("no process can be started")

    assert the_problem(await counter.get(path(job_id), **PNG), 503, "unavailable")["retryable"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "square has no image that has been rendered (yet)"),
        ("?image=0", "square has no image with the index 0 that has been rendered (yet)"),
        ("?image=3", "square has no image with the index 3 that has been rendered (yet)"),
    ],
)
async def test_there_is_no_preview_of_an_image_that_nobody_has_rendered(counter, query, detail):
    job_id = await submitted(counter)

    assert the_problem(await counter.get(path(job_id) + query, **PNG), 404, "not-found")["detail"] == detail


@pytest.mark.parametrize("query", ["?format=gif", "?image=-1", "?image=first"])
async def test_a_query_that_is_not_understood_is_refused_by_its_name(counter, query):
    job_id = await finished(counter)
    problem = the_problem(await counter.get(path(job_id) + query), 422, "invalid-request")

    assert pointers(problem) == [query.partition("=")[0]]


# Cutting again.


async def test_cutting_again_asks_the_workers_for_the_same_renders_with_another_subject(counter):
    job_id = await finished(counter)
    answer = await patch(counter, job_id, {"safeZone": ZONE, "misfit": "pad"})
    [request] = asked(counter)

    assert answer.status_code == 202
    assert answer.json() == {
        "job": job_id,
        "family": "square",
        "links": {"self": f"{BASE}{path(job_id)}", "job": f"{BASE}/api/jobs/{job_id}"},
    }
    assert answer.headers["Location"] == f"{BASE}{path(job_id)}"
    assert (request.family, request.derivation) == ("square", 1)
    assert request.subject == Subject(
        safe_zone=Box(left=0.1, top=0, right=0.6, bottom=0.9), focal_point=None, misfit=Misfit.PAD
    )
    assert [image.key for image in request.images] == [f"jobs/{job_id}/1/square/1/0/render"]


async def test_it_is_under_way_until_the_new_files_are_public_and_then_forgotten(counter):
    job_id = await finished(counter)
    await patch(counter, job_id, {"safeZone": ZONE})
    shown = await look(counter, job_id)
    assert shown["derivation"] == 1
    assert shown["subject"] == {"safeZone": {**ZONE, "top": 0.0}, "focalPoint": None, "misfit": None}
    assert shown["recut"] == {
        "status": "under_way",
        "askedAt": "2026-01-01T12:00:00Z",
        "images": [{"index": 0, "status": "owed", "error": None}],
    }
    assert shown["images"][0]["files"][0]["url"].endswith("-r1.webp")

    job = await counter.job(job_id)
    await counter.play(job_id, cut(family_published(job, derivation=1), a_crop(evidence=Evidence.SAFE_ZONE)))
    shown = await look(counter, job_id)
    assert (shown["recut"], shown["status"]) == (None, "completed")
    assert shown["images"][0]["files"][0]["url"].endswith("-r1-d1.webp")
    assert shown["images"][0]["files"][0]["crop"]["evidence"] == "safe_zone"
    assert (await counter.get(f"/api/jobs/{job_id}")).json()["status"] == "completed"


async def test_names_lead_to_the_new_files(counter):
    job_id = await finished(counter)
    await counter.publish(job_id)
    await patch(counter, job_id)
    job = await counter.job(job_id)
    message = family_published(job, derivation=1)
    for file in message.images[0].files:
        await counter.public.put_if_absent(file.key, f"pixels of {file.key}".encode(), content_type="image/webp")
    await counter.play(job_id, message)

    picture = await counter.get(f"/api/images/{job.name}/profile")
    assert picture.content == f"pixels of {public_key(job_id, 'square', 'profile', 0, 1, 1)}".encode()


async def test_what_failed_says_why_and_leaves_the_pictures(counter):
    job_id = await finished(counter)
    await patch(counter, job_id)
    job = await counter.job(job_id)
    await counter.play(job_id, stage_failed(job, derivation=1, code=FailureCode.RENDER_UNREADABLE, message="no render"))
    shown = await look(counter, job_id)

    assert (shown["status"], shown["recut"]["status"]) == ("completed", "failed")
    [image] = shown["recut"]["images"]
    assert (image["status"], image["error"]["code"], image["error"]["message"]) == (
        "failed",
        "render_unreadable",
        "no render",
    )
    assert shown["images"][0]["files"][0]["url"].endswith("-r1.webp")


async def test_images_that_went_well_are_told_apart_from_those_that_did_not(counter):
    job = a_job(a_family(images=2), owner=ANNA.owner)
    await counter.jobs.insert(job, ANNA)
    both = (0, 1)
    await counter.play(job.id, renders_generated(job, indexes=both), family_published(job, indexes=both))
    await patch(counter, job.id)
    bad = {0: FailureCode.OUT_OF_MEMORY}
    await counter.play(
        job.id,
        derivatives_rendered(job, indexes=(1,), bad=bad, derivation=1),
        family_published(job, indexes=(1,), derivation=1),
    )

    assert [image["status"] for image in (await look(counter, job.id))["recut"]["images"]] == ["failed", "cut"]


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        ({}, {"safeZone": {**ZONE, "top": 0.0}, "focalPoint": None, "misfit": "cut"}),
        ({"safeZone": None}, {"safeZone": None, "focalPoint": None, "misfit": "cut"}),
        ({"safeZone": None, "misfit": None}, None),
        (
            {"focalPoint": {"x": 0.5, "y": 0.5}, "misfit": "borrow"},
            {"safeZone": {**ZONE, "top": 0.0}, "focalPoint": {"x": 0.5, "y": 0.5}, "misfit": "borrow"},
        ),
    ],
)
@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
async def test_what_is_left_out_stays_and_null_takes_it_back(counter, body, subject, media_type):
    job_id = await finished(counter)
    await patch(counter, job_id, {"safeZone": ZONE, "misfit": "cut"})
    answer = await patch(counter, job_id, body, Content_Type=media_type)

    assert answer.status_code == 202, answer.text
    assert (await look(counter, job_id))["subject"] == subject


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"safeZone": {"left": 0.1}}, "/safeZone/top"),
        ({"safeZone": {**ZONE, "right": 0.05}}, "/safeZone/right"),
        ({"focalPoint": {"x": 2, "y": 0}}, "/focalPoint/x"),
        ({"misfit": "stretch"}, "/misfit"),
        ({"safezone": ZONE}, "/safezone"),
    ],
)
async def test_a_body_that_is_not_understood_is_refused_by_its_place(counter, body, pointer):
    job_id = await finished(counter)
    before = await counter.job(job_id)

    assert pointer in pointers(the_problem(await patch(counter, job_id, body), 422, "invalid-request"))
    assert await counter.job(job_id) == before


async def test_a_family_that_has_not_ended_cannot_be_cut_again(counter):
    job_id = await submitted(counter)

    problem = the_problem(await patch(counter, job_id), 409, "not-allowed")
    assert problem["detail"] == "square is waiting; it can be cut again when it has ended"


async def test_the_same_request_with_the_same_key_is_carried_out_once(counter):
    job_id = await finished(counter)
    first = await patch(counter, job_id, {"safeZone": ZONE}, Idempotency_Key="one")
    again = await patch(counter, job_id, {"safeZone": ZONE}, Idempotency_Key="one")

    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert [request.derivation for request in asked(counter)] == [1]


@pytest.mark.parametrize("other", [{"safeZone": None}, {"misfit": "pad"}, {}])
async def test_another_request_with_the_same_key_is_refused(counter, other):
    job_id = await finished(counter)
    await patch(counter, job_id, {"focalPoint": None}, Idempotency_Key="one")

    the_problem(await patch(counter, job_id, other, Idempotency_Key="one"), 422, "idempotency-key-reused")


async def test_the_tag_of_what_was_seen_guards_a_change(counter):
    job_id = await finished(counter)
    tag = (await counter.get(path(job_id))).headers["ETag"]

    assert (await patch(counter, job_id, {"misfit": "pad"}, If_Match=tag)).status_code == 202
    problem = the_problem(await patch(counter, job_id, {"misfit": "cut"}, If_Match=tag), 412, "changed")
    assert problem["detail"] == "the job has changed since you read it; read it again, and decide anew"
    assert (await look(counter, job_id))["subject"]["misfit"] == "pad"


async def test_the_same_request_with_the_same_key_is_not_held_against_what_it_changed_itself(counter):
    job_id = await finished(counter)
    tag = (await counter.get(path(job_id))).headers["ETag"]
    both = [await patch(counter, job_id, If_Match=tag, Idempotency_Key="one") for _ in range(2)]

    assert [answer.status_code for answer in both] == [202, 202]


async def test_a_body_is_needed(counter):
    job_id = await finished(counter)
    answer = await counter.client.patch(path(job_id), headers=JSON)

    assert the_problem(answer, 422, "invalid-request")
