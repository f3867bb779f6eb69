"""Downloads that go well, and what a host's answers mean; on an internet in memory."""

import hashlib
import ssl
from typing import Any

import pytest

from imagetron_chassis.downloads import (
    DownloadDenied,
    Downloaded,
    DownloadFailed,
    DownloadGone,
    DownloadRefused,
    DownloadRules,
    DownloadsBusy,
    DownloadTooLarge,
    GuardedDownloads,
    NotAPicture,
)
from imagetron_contracts.media import ImageFormat
from unit.chassis.downloads.internet import (
    JPEG,
    OTHER_PUBLIC,
    PNG,
    PUBLIC,
    PUBLIC_V6,
    WEBP,
    Internet,
    ok,
    redirect,
    status,
)

URL = "https://good.example/a.png?token=SECRET"
PAGE = "good.example/a.png?token=SECRET"
NAMES = {"good.example": [[PUBLIC]], "img.cdn.example": [[OTHER_PUBLIC]], "xn--bcher-kva.example": [[PUBLIC]]}
HOSTS = ("good.example", ".cdn.example", "xn--bcher-kva.example", PUBLIC, PUBLIC_V6)
TLS = ssl.create_default_context()


async def fetched(internet: Internet, url: str = URL, **rules: Any) -> Downloaded:
    downloads = GuardedDownloads(DownloadRules(HOSTS, **rules), resolver=internet, dialer=internet, tls=TLS)
    try:
        return await downloads.fetch(url)
    finally:
        assert internet.open_streams == 0


async def failed(answer: bytes, error: type[Exception], **rules: Any) -> Exception:
    with pytest.raises(error) as raised:
        await fetched(Internet(NAMES, {PAGE: answer}), **rules)
    assert "good.example" in str(raised.value)
    assert "SECRET" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(("data", "form"), [(PNG, ImageFormat.PNG), (JPEG, ImageFormat.JPEG), (WEBP, ImageFormat.WEBP)])
async def test_a_picture_comes_with_its_format_and_digest_whatever_the_host_calls_it(data, form):
    internet = Internet(NAMES, {PAGE: ok(data, "Content-Type: text/html")})

    picture = await fetched(internet)

    assert picture == Downloaded(data, form, hashlib.sha256(data).hexdigest())
    assert picture.content_type == form.content_type
    assert "rest of a picture" not in repr(picture)


async def test_the_connection_goes_to_the_address_that_was_judged_and_the_name_to_tls_and_the_host():
    internet = Internet(NAMES)

    await fetched(internet)

    (request,) = internet.requests
    assert (request.address, request.port, request.server_name) == (PUBLIC, 443, "good.example")
    assert request.headers["host"] == "good.example"
    assert request.path == "/a.png?token=SECRET"
    assert internet.lookups == ["good.example"]


async def test_a_request_tells_nothing_about_us_and_asks_for_no_encoding(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    internet = Internet(NAMES)

    await fetched(internet)

    assert internet.dialled == [PUBLIC]
    assert internet.requests[0].headers == {
        "host": "good.example",
        "accept": "image/webp, image/png, image/jpeg",
        "accept-encoding": "identity",
        "user-agent": "imagetron",
        "connection": "close",
    }


@pytest.mark.parametrize(
    ("url", "address", "name", "host"),
    [
        ("https://GOOD.example./a.png", PUBLIC, "good.example", "good.example"),
        ("https://b\xfccher.example/", PUBLIC, "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://good.example:8443/", PUBLIC, "good.example", "good.example:8443"),
        (f"https://{PUBLIC}/", PUBLIC, PUBLIC, PUBLIC),
        (f"https://[{PUBLIC_V6}]/", PUBLIC_V6, PUBLIC_V6, f"[{PUBLIC_V6}]"),
    ],
)
async def test_hosts_are_fetched_from_in_their_normal_form(url, address, name, host):
    internet = Internet(NAMES)

    await fetched(internet, url, ports=frozenset({443, 8443}))

    (request,) = internet.requests
    assert (request.address, request.server_name, request.headers["host"]) == (address, name, host)


async def test_the_next_address_of_a_name_is_tried_when_one_takes_no_connection():
    internet = Internet({"good.example": [[PUBLIC_V6, PUBLIC]]}, dead=frozenset({PUBLIC_V6}))

    await fetched(internet)

    assert internet.dialled == [PUBLIC_V6, PUBLIC]


async def test_a_host_whose_addresses_take_no_connection_fails_for_now():
    internet = Internet({"good.example": [[PUBLIC_V6, PUBLIC]]}, dead=frozenset({PUBLIC_V6, PUBLIC}))

    with pytest.raises(DownloadFailed, match=r"good\.example failed \(ConnectError\)"):
        await fetched(internet)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_on_a_connection_of_its_own(code):
    pages = {PAGE: redirect("https://img.cdn.example/b.png", code), "img.cdn.example/b.png": ok(JPEG)}
    internet = Internet(NAMES, pages)

    picture = await fetched(internet)

    assert picture.data == JPEG
    assert [(request.address, request.server_name) for request in internet.requests] == [
        (PUBLIC, "good.example"),
        (OTHER_PUBLIC, "img.cdn.example"),
    ]


async def test_three_redirects_are_followed_and_relative_ones_understood_and_each_hop_is_looked_up_anew():
    pages = {
        PAGE: redirect("/1/"),
        "good.example/1/": redirect("2?b=c"),
        "good.example/1/2?b=c": redirect("//good.example/3"),
        "good.example/3": ok(WEBP),
    }
    internet = Internet(NAMES, pages)

    picture = await fetched(internet)

    assert picture.format is ImageFormat.WEBP
    assert internet.lookups == ["good.example"] * 4


async def test_no_cookie_goes_along_to_the_next_hop():
    pages = {PAGE: status(302, "Location: /b.png", "Set-Cookie: a=b; Path=/")}
    internet = Internet(NAMES, pages)

    await fetched(internet)

    assert "cookie" not in internet.requests[1].headers


async def test_a_loopback_double_is_fetched_from_by_plain_http_when_it_is_named():
    internet = Internet()

    await fetched(internet, "http://127.0.0.1:8080/a.png", dangerously_allow_plain_http_on_loopback=("127.0.0.1:8080",))

    (request,) = internet.requests
    assert (request.address, request.port, request.server_name) == ("127.0.0.1", 8080, None)


async def test_a_public_host_cannot_send_us_to_a_loopback_double():
    internet = Internet(NAMES, {PAGE: redirect("http://127.0.0.1:8080/a.png")})

    with pytest.raises(DownloadRefused, match="from https to plain http"):
        await fetched(internet, dangerously_allow_plain_http_on_loopback=("127.0.0.1:8080",))

    assert internet.dialled == [PUBLIC]


async def test_a_loopback_double_may_send_us_to_a_public_host():
    pages = {"127.0.0.1:8080/a.png": redirect("https://good.example/b.png")}
    internet = Internet(NAMES, pages)

    await fetched(internet, "http://127.0.0.1:8080/a.png", dangerously_allow_plain_http_on_loopback=("127.0.0.1:8080",))

    assert internet.dialled == ["127.0.0.1", PUBLIC]


@pytest.mark.parametrize("code", [404, 410])
async def test_a_picture_that_the_host_has_no_more_is_gone(code):
    assert str(code) in str(await failed(status(code), DownloadGone))


@pytest.mark.parametrize("code", [400, 401, 403, 418, 451])
async def test_a_picture_that_the_host_withholds_is_denied(code):
    assert str(code) in str(await failed(status(code), DownloadDenied))


@pytest.mark.parametrize("code", [408, 425, 500, 502, 503, 599])
async def test_a_host_in_trouble_is_asked_again(code):
    assert str(code) in str(await failed(status(code), DownloadFailed))


@pytest.mark.parametrize("code", [201, 204, 206, 300, 304, 302])
async def test_an_answer_without_a_picture_is_no_picture(code):
    assert str(code) in str(await failed(status(code), NotAPicture))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("Retry-After: 7", 7), ("Retry-After: 99999999999999999999", 86400), ("X: y", None), ("Retry-After: -1", None)],
)
async def test_a_host_that_asks_us_to_slow_down_says_for_how_long(header, seconds):
    busy = await failed(status(429, header), DownloadsBusy)

    assert isinstance(busy, DownloadsBusy)
    assert busy.retry_after_seconds == seconds


@pytest.mark.parametrize("when", ["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: \xb2"])
async def test_a_wait_in_another_form_is_no_wait(when):
    busy = await failed(status(429, when), DownloadsBusy)

    assert isinstance(busy, DownloadsBusy)
    assert busy.retry_after_seconds is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x89PNG",
        b"\xff\xd8",
        b"<html>" * 9,
        b"\x89PNG\r\n\x1a\n<html><script>",
        b"RIFF\0\0\0\0WEBP<html><script>",
        b"RIFF\0\0\0\0WAVEfmt " + bytes(9),
        b"GIF89a" + bytes(20),
        b"II*\0" + bytes(20),
        b"%PDF-1.7 " * 3,
        b"\n" + PNG,
    ],
)
async def test_what_does_not_begin_as_a_picture_is_none_whatever_the_host_calls_it(body):
    assert "no PNG, JPEG or WebP" in str(await failed(ok(body, "Content-Type: image/png"), NotAPicture))


async def test_a_picture_of_just_the_largest_size_is_taken_and_one_byte_more_is_not():
    internet = Internet(NAMES, {PAGE: ok(PNG)})

    assert (await fetched(internet, max_bytes=len(PNG))).data == PNG
    await failed(ok(PNG), DownloadTooLarge, max_bytes=len(PNG) - 1)


async def test_a_body_without_a_length_is_counted():
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + PNG
    internet = Internet(NAMES, {PAGE: answer})

    assert (await fetched(internet)).data == PNG
    await failed(answer, DownloadTooLarge, max_bytes=len(PNG) - 1)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP", "unheard-of"])
async def test_a_compressed_body_is_refused(coding):
    assert "content encoding" in str(await failed(ok(PNG, f"Content-Encoding: {coding}"), DownloadRefused))


async def test_the_identity_encoding_is_no_encoding():
    assert (await fetched(Internet(NAMES, {PAGE: ok(PNG, "Content-Encoding: Identity")}))).data == PNG


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFFFFF\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000 + b"\r\n" + PNG,
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\0" * 100,
    ],
    ids=lambda answer: ascii(answer[:60]),
)
async def test_an_answer_that_is_broken_or_has_endless_headers_fails(answer):
    assert "failed" in str(await failed(answer, DownloadFailed))


async def test_what_comes_behind_the_promised_length_is_not_taken():
    internet = Internet(NAMES, {PAGE: ok(PNG) + b"<script>"})

    assert (await fetched(internet)).data == PNG
