"""What a refusal of a language model's server means; no server here, the integration tests have one."""

from email.utils import formatdate

import pytest

from imagetron_chassis.errors import Permanent, QuotaExceeded, RateLimited, Transient, UnknownOutcome
from imagetron_prompt.adapters.openai_errors import refusal, retry_after_seconds
from imagetron_prompt.ports import Declined

NOW = 1_800_000_000.0


def refused(status, code=None, kind=None, headers=None):
    return refusal(status, (code, kind), headers or {}, now=NOW)


@pytest.mark.parametrize(
    ("status", "code", "kind", "meaning"),
    [
        (429, "rate_limit_exceeded", "requests", RateLimited),
        (429, None, "tokens", RateLimited),
        (429, "insufficient_quota", "insufficient_quota", QuotaExceeded),
        (429, None, "insufficient_quota", QuotaExceeded),
        (429, "billing_hard_limit_reached", "invalid_request_error", QuotaExceeded),
        (400, "billing_hard_limit_reached", "invalid_request_error", QuotaExceeded),
        (402, None, None, QuotaExceeded),
        (408, None, None, Transient),
        (409, None, None, Transient),
        (500, None, "server_error", Transient),
        (502, None, None, Transient),
        (503, "server_is_overloaded", None, Transient),
        (504, None, None, UnknownOutcome),
        (529, None, None, Transient),
        (401, "invalid_api_key", "invalid_request_error", Permanent),
        (403, "unsupported_country_region_territory", None, Permanent),
        (404, "model_not_found", "invalid_request_error", Permanent),
        (400, "content_policy_violation", "invalid_request_error", Declined),
        (400, "content_filter", None, Declined),
        (400, "invalid_prompt", "invalid_request_error", Declined),
        (422, "content_policy_violation", None, Declined),
        (400, "context_length_exceeded", "invalid_request_error", Permanent),
        (422, None, None, Permanent),
        (413, None, None, Permanent),
        (302, None, None, Permanent),
    ],
)
def test_every_refusal_has_one_meaning(status, code, kind, meaning):
    assert type(refused(status, code, kind)) is meaning


@pytest.mark.parametrize(("status", "setting"), [(401, "API key"), (403, "API key"), (404, "model"), (404, "base URL")])
def test_a_wrong_setting_is_named(status, setting):
    assert setting in str(refused(status))


def test_a_refusal_tells_the_status_the_code_and_the_request():
    error = refused(500, "server_error", headers={"x-request-id": "req_0123"})

    assert "HTTP 500, server_error, request req_0123" in str(error)


@pytest.mark.parametrize(
    "word", ["You wrote: a secret", "secret prompt", "sécret", "SECRET", "secret" * 11, "secret\n", 400, {"secret": 1}]
)
def test_a_code_that_could_be_a_sentence_is_not_told(word):
    error = refused(400, word, word, headers={"x-request-id": "a secret"})

    assert "secret" not in str(error).lower()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_wished_pause_is_read_in_each_of_its_forms(headers, seconds):
    assert retry_after_seconds(headers, now=NOW) == seconds


def test_a_rate_limit_carries_the_wished_pause():
    error = refused(429, headers={"retry-after": "7"})

    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == 7
