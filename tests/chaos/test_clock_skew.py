"""One process' clock is ten minutes off, or jumps by ten minutes: nobody sees anything of it."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from chaos.stacks import SERVICES, ChaosStack, all_ended, chaos_stack, how_many, statuses, submit_many
from imagetron_cli.embedded.ports import LOOPBACK
from imagetron_cli.embedded.services import probe_port
from support.eventually import eventually_sync

LIBRARIES: Final = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
OFF: Final = timedelta(minutes=10)
# A clock that is off by ten minutes is well beyond this, a slow machine well below.
ABOUT_RIGHT: Final = timedelta(minutes=2)

pytestmark = [
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed: apt-get install faketime"),
    pytest.mark.timeout(180),
]


class Clocks:
    """The wall clock of each service, set apart from the machine's; monotonic clocks stay as they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for service in SERVICES:
            self.set(service, timedelta())

    def surroundings(self) -> dict[str, dict[str, str]]:
        return {
            service: {
                "LD_PRELOAD": str(LIBRARIES[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self._folder / service),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
            for service in SERVICES
        }

    def set(self, service: str, offset: timedelta) -> None:
        """Takes effect within a second, also in a process that runs."""
        new = self._folder / f"{service}.new"
        new.write_text(f"{offset.total_seconds():+.0f}")
        new.replace(self._folder / service)


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Clocks:
    return Clocks(tmp_path_factory.mktemp("clocks"))


@pytest.fixture(scope="module")
def stack(clocks: Clocks) -> Iterator[ChaosStack]:
    with chaos_stack(clocks.surroundings()) as running:
        yield running


def offset_of(stack: ChaosStack, service: str) -> timedelta:
    """How far the service's clock is off, as it dates its answers."""
    answer = httpx.get(f"http://{LOOPBACK}:{probe_port(service, stack.ports)}/healthz", timeout=30)
    return parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)


def set_clock(stack: ChaosStack, clocks: Clocks, service: str, offset: timedelta) -> None:
    clocks.set(service, offset)
    eventually_sync(lambda: abs(offset_of(stack, service) - offset) < ABOUT_RIGHT, within_seconds=30)


@pytest.mark.parametrize(
    ("service", "offset"),
    [("generator", OFF), ("generator", -OFF), ("deriver", -OFF), ("publisher", OFF)],
    ids=["generator-ahead", "generator-behind", "deriver-behind", "publisher-ahead"],
)
def test_jobs_complete_with_right_timings_although_a_workers_clock_is_ten_minutes_off(
    stack: ChaosStack, clocks: Clocks, service: str, offset: timedelta
):
    set_clock(stack, clocks, service, offset)
    began, clock = datetime.now(UTC), time.monotonic()
    try:
        ids = submit_many(stack.url, how_many(2), f"skew-{service}-{'ahead' if offset > timedelta() else 'behind'}")
        results = all_ended(stack.url, ids, within_seconds=60)
    finally:
        set_clock(stack, clocks, service, timedelta())
    took = time.monotonic() - clock

    assert statuses(results) == {"complete": len(ids)}
    for variation in results:
        assert_sane(variation["timings"], began=began, took=took)


def assert_sane(timings: dict[str, Any], *, began: datetime, took: float) -> None:
    submitted, started, finished = (
        datetime.fromisoformat(timings[name]) for name in ("submittedAt", "startedAt", "finishedAt")
    )
    second = timedelta(seconds=1)
    moments = [began - second, submitted, started, finished, began + timedelta(seconds=took) + second]
    assert all(earlier <= later for earlier, later in pairwise(moments)), moments
    # Wider than took alone: the model and the encoders work on several cores.
    most = took * (os.cpu_count() or 1)
    assert 0 < timings["modelSeconds"] < most
    assert 0 < timings["encodeSeconds"] < most


@pytest.mark.parametrize(
    ("service", "offset"),
    [("gateway", OFF), ("gateway", -OFF), ("generator", OFF)],
    ids=["gateway-forward", "gateway-back", "generator-forward"],
)
def test_jobs_under_way_complete_although_a_clock_jumps_by_ten_minutes(
    stack: ChaosStack, clocks: Clocks, service: str, offset: timedelta
):
    where = "forward" if offset > timedelta() else "back"
    ids = submit_many(stack.url, how_many(5), f"jump-{service}-{where}")
    set_clock(stack, clocks, service, offset)
    try:
        more = submit_many(stack.url, 1, f"after-jump-{service}-{where}")
        results = all_ended(stack.url, [*ids, *more], within_seconds=90)
    finally:
        set_clock(stack, clocks, service, timedelta())

    assert statuses(results) == {"complete": len(results)}
