"""Rules for downloads: what they name, and what they cannot mean."""

import pytest

from imagetron_chassis.downloads import DownloadRefused, DownloadRules
from imagetron_chassis.downloads.targets import target_of

RULES = DownloadRules(
    ("good.example", ".cdn.example", "xn--bcher-kva.example", "93.184.215.14", "2606:2800:21f::1"),
    dangerously_allow_plain_http_on_loopback=("127.0.0.1:8080", "[::1]:8081"),
)


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example/a.png",
        "https://good.example",
        "https://good.example?size=1",
        "https://GOOD.Example./a.png?token=a%20b",
        "HTTPS://good.example:443/",
        "https://a.cdn.example/",
        "https://a.b.cdn.example/",
        "https://b\xfccher.example/",
        "https://B\xdcCHER\u3002example/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:0:0:0:0:1]/",
        "http://127.0.0.1:8080/a.png",
        "http://[::1]:8081/a.png",
    ],
)
def test_what_the_list_names_is_allowed_however_it_is_written(url):
    RULES.check(target_of(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.png",
        "http://127.0.0.1:8081/a.png",
        "http://127.0.0.2:8080/a.png",
        "http://localhost:8080/a.png",
        "https://127.0.0.1:8080/a.png",
        "http://[::1]:8080/",
        "http://good.example:8080/",
        "https://cdn.example/",
        "https://14.cdn.example.evil.example/",
    ],
)
def test_what_the_list_does_not_name_is_refused(url):
    with pytest.raises(DownloadRefused):
        RULES.check(target_of(url))


def test_a_suffix_never_allows_an_address():
    with pytest.raises(ValueError, match="would allow too much"):
        DownloadRules((".93.184.215.14",))


@pytest.mark.parametrize(
    "pattern", ["", ".", "*", "*.example", ".com", "https://good.example", "good.example/", "good.example:443", "a b"]
)
def test_a_pattern_that_is_no_host_or_allows_too_much_is_an_error(pattern):
    with pytest.raises(ValueError, match=r"host|too much"):
        DownloadRules((pattern,))


@pytest.mark.parametrize(
    ("pattern", "normal"), [("Good.example", "good.example"), ("b\xfccher.example", "xn--bcher-kva")]
)
def test_a_pattern_that_is_not_in_normal_form_names_the_form(pattern, normal):
    with pytest.raises(ValueError, match=normal):
        DownloadRules((pattern,))


@pytest.mark.parametrize(
    "place", ["", "good.example:80", "localhost:8080", "10.0.0.1:80", "127.0.0.1:80", "127.1:8080", "::1"]
)
def test_plain_http_is_for_loopback_addresses_alone(place):
    with pytest.raises(ValueError, match=r"loopback|not a host"):
        DownloadRules((), dangerously_allow_plain_http_on_loopback=(place,))


@pytest.mark.parametrize(
    "limit", [{"max_bytes": 0}, {"total_deadline_seconds": 0}, {"connect_seconds": -1}, {"max_redirects": -1}]
)
def test_limits_are_positive(limit):
    with pytest.raises(ValueError, match="positive"):
        DownloadRules(("good.example",), **limit)


def test_a_target_shows_its_path_and_token_to_nobody():
    target = target_of("https://good.example/secret?token=secret")

    assert target.path == "/secret?token=secret"
    assert "secret" not in repr(target)
