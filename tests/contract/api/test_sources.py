"""Uploads of pictures over HTTP: what is taken, what is refused with nothing stored, whose they are, and sent again."""

import asyncio
import hashlib
import io
import struct
import zlib
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from PIL import Image
from starlette.requests import Request
from starlette.types import Message

from contract.api.counter import pointers, the_problem
from contract.api.doors import BASE, Doors, opened
from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.errors import Transient
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_chassis.principals import Principal
from imagetron_gateway.adapters.sources import SOURCES, PicturesReadApart
from imagetron_gateway.api.bodies import BodyRefused, read_body
from imagetron_gateway.domain.sources import MAX_UPLOAD_BYTES, Pixels
from imagetron_gateway.ports import PictureRefused
from imagetron_gateway.usecases.taking_sources import KEPT, SOURCES_OF_AN_OWNER
from support.builders import NOW

PATH = "/api/images/sources"
BERT = Principal(owner="bert", scopes=frozenset({"*"}))
KEY = "4f0c1a2e-order-17"


@pytest.fixture(params=["memory", "sqlite"])
async def doors(request, tmp_path) -> AsyncIterator[Doors]:
    documents: Documents = (
        InMemoryDocuments() if request.param == "memory" else SqliteDocuments(tmp_path / "documents.sqlite3")
    )
    async with opened(Doors(documents=documents)) as doors:
        yield doors


def a_picture(width: int = 96, height: int = 64, *, form: str = "PNG", mode: str = "RGB", **options) -> bytes:
    image = Image.frombytes("L", (width, height), bytes(index % 251 for index in range(width * height))).convert(mode)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def moving(form: str) -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green")]
    file = io.BytesIO()
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    return file.getvalue()


def objects(doors: Doors) -> int:
    assert isinstance(doors.work, InMemoryBlobs)
    return len(doors.work._objects)


async def stored(doors: Doors) -> int:
    assert await doors.documents.count(SOURCES) == objects(doors)
    return objects(doors)


async def test_an_upload_is_stored_without_loss_and_described(doors):
    upload = a_picture(96, 64)
    pixels = Image.open(io.BytesIO(upload)).tobytes()

    answer = await doors.upload(upload, Content_Type="image/png")

    assert answer.status_code == 201
    body = answer.json()
    assert body.keys() == {"id", "width", "height", "digest", "expiresAt"}
    assert (body["width"], body["height"], body["digest"]) == (96, 64, hashlib.sha256(pixels).hexdigest())
    assert datetime.fromisoformat(body["expiresAt"]) == NOW + KEPT
    assert answer.headers["Location"] == f"{BASE}{PATH}/{body['id']}"
    assert await doors.work.get(f"sources/{body['id']}/render") == b"P6\n96 64\n255\n" + pixels


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("media_type", ["image/png", "IMAGE/JPEG; q=1", "image/webp", "application/octet-stream", ""])
async def test_what_a_picture_is_its_bytes_say_and_not_the_header(doors, form, media_type):
    headers = {"Content_Type": media_type} if media_type else {}

    assert (await doors.upload(a_picture(form=form), **headers)).status_code == 201


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
async def test_other_kinds_of_colour_become_rgb(doors, mode):
    answer = await doors.upload(a_picture(mode=mode, form="JPEG" if mode == "CMYK" else "PNG"))

    assert answer.status_code == 201
    assert len(await doors.work.get(f"sources/{answer.json()['id']}/render")) == len(b"P6\n96 64\n255\n") + 96 * 64 * 3


async def test_location_leads_to_the_upload(doors):
    uploaded = await doors.upload(a_picture())

    found = await doors.client.get(uploaded.headers["Location"])

    assert (found.status_code, found.json()) == (200, uploaded.json())


async def test_a_form_is_refused_with_the_way_to_send_it(doors):
    form = {"file": ("picture.png", a_picture(), "image/png")}
    answer = await doors.client.post(PATH, files=form)

    problem = the_problem(answer, 415, "unsupported-media-type")
    assert "--data-binary" in problem["detail"]
    assert await stored(doors) == 0


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "image/gif", "text/html", "image/svg+xml"])
async def test_a_body_that_is_called_something_else_is_not_read(doors, media_type):
    pieces = 0

    async def endless() -> Message:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    assert await asked(doors, endless, content_type=media_type) == 415
    assert pieces == 0


@pytest.mark.parametrize(
    "upload",
    [
        b"",
        b"GIF89a" + b"\0" * 100,
        b"<html><script>alert(1)</script></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"SIMPLE  =                    T",
        b"8BPS\0\1",
        b'{"a": 1}',
        b"<!--" + a_picture(),
    ],
)
async def test_what_is_none_of_the_three_formats_is_refused_whatever_it_is_called(doors, upload):
    answer = await doors.upload(upload, Content_Type="image/png")

    the_problem(answer, 415, "unsupported-media-type")
    assert doors.pictures.read == []
    assert await stored(doors) == 0


def a_png_that_says(width: int, height: int) -> bytes:
    """A header and next to nothing behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT" + zlib.compress(bytes(1000))


@pytest.mark.parametrize(
    "upload",
    [
        a_picture()[:-40],
        a_picture(form="JPEG")[:60],
        a_picture(form="WEBP")[:60],
        a_png_that_says(100, 100),
        a_picture()[:16] + b"\0" * 1000,
        b"\xff\xd8\xff" + b"\0" * 1000,
        b"RIFF\x10\0\0\0WEBPVP8 " + b"\0" * 1000,
        moving("PNG"),
        moving("WEBP"),
    ],
)
async def test_a_picture_that_cannot_be_read_or_moves_is_refused(doors, upload):
    problem = the_problem(await doors.upload(upload), 422, "picture-refused")

    assert "the picture" in problem["detail"]
    assert await stored(doors) == 0


@pytest.mark.parametrize(
    ("width", "height", "limit"), [(63, 100, "64"), (100, 10, "64"), (4097, 4096, str(4096 * 4096))]
)
async def test_a_picture_of_a_wrong_size_is_told_the_limit(doors, width, height, limit):
    upload = io.BytesIO()
    Image.new("L", (width, height)).save(upload, "PNG")

    problem = the_problem(await doors.upload(upload.getvalue()), 422, "picture-refused")

    assert f"{width}x{height}" in problem["detail"]
    assert limit in problem["detail"]
    assert await stored(doors) == 0


async def refuse_a_bomb(_: bytes) -> Pixels:
    raise PictureRefused("the picture says 30000x30000 pixels; at most 16777216 in all are taken")


async def die(_: bytes) -> Pixels:
    raise Transient("the process that read the picture died")


async def test_what_the_reader_says_of_a_bomb_is_what_the_caller_is_told():
    async with opened(Doors(read_picture=refuse_a_bomb)) as doors:
        problem = the_problem(await doors.upload(a_picture()), 422, "picture-refused")

        assert "16777216" in problem["detail"]
        assert await stored(doors) == 0


async def test_when_the_reader_is_out_of_order_the_upload_is_asked_for_again():
    async with opened(Doors(read_picture=die)) as doors:
        problem = the_problem(await doors.upload(a_picture()), 503, "unavailable")

        assert problem["retryable"]
        assert await stored(doors) == 0


@pytest.fixture
async def apart() -> AsyncIterator[Doors]:
    """The door as it is in production: another process reads the pictures."""
    reader = PictureReader()
    async with opened(Doors(read_picture=PicturesReadApart(reader))) as doors:
        yield doors
    await reader.stop()


async def test_another_process_reads_the_same_pixels(apart):
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})):
        upload = a_picture(form=form, **options)
        pixels = Image.open(io.BytesIO(upload)).convert("RGB").tobytes()

        body = (await apart.upload(upload)).json()

        assert body["digest"] == hashlib.sha256(pixels).hexdigest()
        assert await apart.work.get(f"sources/{body['id']}/render") == b"P6\n96 64\n255\n" + pixels


async def test_a_photograph_is_turned_upright_and_says_nothing_of_where_it_was_taken(apart):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "at home"

    body = (await apart.upload(a_picture(96, 64, form="JPEG", exif=exif))).json()

    assert (body["width"], body["height"]) == (64, 96)
    assert b"at home" not in await apart.work.get(f"sources/{body['id']}/render")


async def test_bombs_and_broken_pictures_are_refused_and_the_next_one_is_read(apart):
    refused = [
        a_png_that_says(30_000, 30_000),
        a_png_that_says(8192, 8192),
        a_picture()[:-40],
        moving("PNG"),
        moving("WEBP"),
    ]
    problems = [the_problem(await apart.upload(upload), 422, "picture-refused") for upload in refused]

    for bomb in problems[:2]:
        assert "8192" in bomb["detail"] or str(4096 * 4096) in bomb["detail"]
    assert len({problem["detail"] for problem in problems}) > 2
    assert await stored(apart) == 0
    assert (await apart.upload(a_picture())).status_code == 201


async def test_more_than_twenty_megabytes_are_refused_before_all_of_it_came(doors):
    pieces, size = 0, 1_000_000

    async def endless() -> Message:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"\xff" * size, "more_body": True}

    assert await asked(doors, endless) == 413
    assert pieces == MAX_UPLOAD_BYTES // size + 1
    assert await stored(doors) == 0


async def test_the_longest_upload_is_read_and_one_byte_more_is_not(doors):
    longest = a_picture().ljust(MAX_UPLOAD_BYTES, b"\0")

    the_problem(await doors.upload(longest + b"\0"), 413, "body-too-large")
    assert (await doors.upload(longest)).status_code == 201


async def test_a_caller_without_the_right_is_refused_before_the_body_is_read(doors):
    doors.principal = Principal(owner="anna", scopes=frozenset({"images:read"}))
    pieces = 0

    async def endless() -> Message:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    assert await asked(doors, endless) == 403
    assert pieces == 0


async def test_who_hangs_up_amid_the_body_has_uploaded_nothing(doors):
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    assert await asked(doors, gone) == 400
    assert await stored(doors) == 0


async def test_a_body_that_does_not_come_is_not_waited_for():
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    request = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(BodyRefused) as refused:
        await read_body(request, max_bytes=10, seconds=0.01)

    assert refused.value.answer().status_code == 408
    assert refused.value.answer().headers["Connection"] == "close"


async def test_the_same_upload_under_the_same_key_is_stored_once_and_answered_alike(doors):
    first = await doors.upload(a_picture(), Idempotency_Key=KEY)
    again = await doors.upload(a_picture(), Idempotency_Key=f'"{KEY}"', Content_Type="image/png")

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await stored(doors) == 1


async def test_another_upload_under_the_same_key_is_refused(doors):
    await doors.upload(a_picture(), Idempotency_Key=KEY)
    answer = await doors.upload(a_picture(64, 64), Idempotency_Key=KEY)

    assert pointers(the_problem(answer, 422, "idempotency-key-reused")) == ["Idempotency-Key"]
    assert await stored(doors) == 1


async def test_ten_at_once_under_one_key_are_one_upload(doors):
    """Those for which there is no place are asked to come again."""
    uploads = (doors.upload(a_picture(), Idempotency_Key=KEY) for _ in range(10))
    answers = await asyncio.gather(*uploads)

    assert {answer.status_code for answer in answers} <= {201, 503}
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    assert await stored(doors) == 1


async def test_without_a_key_the_same_bytes_are_another_upload(doors):
    first, second = [await doors.upload(a_picture()) for _ in range(2)]

    assert first.json()["id"] != second.json()["id"]
    assert first.json()["digest"] == second.json()["digest"]


async def test_an_upload_is_its_owners_alone(doors):
    path = f"{PATH}/{(await doors.upload(a_picture())).json()['id']}"
    missing = the_problem(await doors.client.get(f"{PATH}/src_{'0' * 32}"), 404, "not-found")

    doors.principal = BERT
    answers = [await doors.client.get(path), await doors.client.delete(path)]

    for answer in answers:
        problem = the_problem(answer, 404, "not-found")
        assert problem["detail"] == missing["detail"]
    assert await stored(doors) == 1


@pytest.mark.parametrize("name", ["x", "src_", "%00", "src_" + "g" * 32, "..%2f..", "$where", "ä"])
async def test_other_names_are_found_as_little(doors, name):
    for answer in (await doors.client.get(f"{PATH}/{name}"), await doors.client.delete(f"{PATH}/{name}")):
        the_problem(answer, 404, "not-found")


async def test_a_removed_upload_is_gone_with_its_picture(doors):
    path = f"{PATH}/{(await doors.upload(a_picture())).json()['id']}"

    answer = await doors.client.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert await stored(doors) == 0
    the_problem(await doors.client.get(path), 404, "not-found")
    the_problem(await doors.client.delete(path), 404, "not-found")


async def test_an_expired_upload_does_not_exist(doors):
    path = f"{PATH}/{(await doors.upload(a_picture())).json()['id']}"
    doors.clock.advance(KEPT.total_seconds())

    the_problem(await doors.client.get(path), 404, "not-found")


async def test_an_owner_can_fill_only_so_much_of_the_store(doors):
    upload = a_picture(64, 64)
    for _ in range(SOURCES_OF_AN_OWNER):
        assert (await doors.upload(upload)).status_code == 201

    refused = await doors.upload(upload)

    the_problem(refused, 429, "too-many-sources")
    assert int(refused.headers["Retry-After"]) >= 1
    doors.principal = BERT
    assert (await doors.upload(upload)).status_code == 201


async def test_more_uploads_at_once_than_there_are_places_are_asked_to_come_again():
    """Each of them holds its body in memory."""
    async with opened(Doors()) as doors:
        go_on, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def slow() -> Message:
            waiting.release()
            await go_on.wait()
            return {"type": "http.request", "body": a_picture(), "more_body": False}

        held = [asyncio.create_task(asked(doors, slow)) for _ in range(4)]
        for _ in held:
            await waiting.acquire()
        answer = await doors.upload(a_picture())
        go_on.set()

        the_problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
        assert await asyncio.gather(*held) == [201] * 4
        assert (await doors.upload(a_picture())).status_code == 201


class AwayBlobs(InMemoryBlobs):
    """A store that cannot answer now."""

    async def put_if_absent(
        self, key: str, data: bytes, *, content_type: str, cache_control: str | None = None
    ) -> bool:
        raise BlobsUnavailable("s3.10.0.0.7: connection refused")


async def test_while_the_object_store_is_away_an_upload_is_asked_for_again():
    async with opened(Doors(work=AwayBlobs())) as doors:
        answer = await doors.upload(a_picture(), Idempotency_Key=KEY)

        the_problem(answer, 503, "unavailable")
        assert "10.0.0.7" not in answer.text
        assert await stored(doors) == 0


async def asked(doors: Doors, receive, *, content_type: str = "image/png") -> int:
    """Straight to the application: httpx would read the body to its end first."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"host", b"api.example.com"), (b"content-type", content_type.encode())],
        "server": ("api.example.com", 443),
        "client": ("127.0.0.1", 1),
    }
    await doors.application(scope, receive, send)
    return statuses[0]
