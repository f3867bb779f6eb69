"""A cursor comes back as the place that it stands for, and nothing but our own is taken."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_chassis.cursors import InvalidCursor, closed, opened
from imagetron_gateway import ports

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ID = "0b9a2f0e-0000-4000-8000-000000000000"
MILLISECONDS = st.datetimes(timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)


def encoded(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@settings(deadline=None)
@given(MILLISECONDS, st.uuids().map(str))
def test_a_place_comes_back_as_it_was(at, identifier):
    assert opened(closed((at, identifier))) == (at, identifier)


def test_no_cursor_is_no_place():
    assert opened(None) is None


@settings(deadline=None)
@given(st.text(max_size=100))
def test_whatever_else_is_sent_is_refused(text):
    with pytest.raises(InvalidCursor, match="not made by this API"):
        opened(text)


@pytest.mark.parametrize(
    "cursor",
    [
        encoded(AT.isoformat(timespec="seconds"), ID),
        encoded(AT.isoformat(timespec="microseconds"), ID),
        encoded(AT.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="milliseconds"), ID),
        encoded(AT.replace(tzinfo=None).isoformat(timespec="milliseconds"), ID),
        encoded(AT.isoformat(timespec="milliseconds"), ID.upper()),
        encoded(AT.isoformat(timespec="milliseconds"), uuid.UUID(ID).hex),
        encoded(AT.isoformat(timespec="milliseconds"), "x"),
        encoded(AT.isoformat(timespec="milliseconds"), ID, ID),
        encoded(7, ID),
        closed((AT, ID)) + "=",
        closed((AT, ID)) + "!",
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_another_way_to_write_a_place_is_refused(cursor):
    with pytest.raises(InvalidCursor):
        opened(cursor)


def test_the_gateways_port_names_the_same_error():
    assert ports.InvalidCursor is InvalidCursor
