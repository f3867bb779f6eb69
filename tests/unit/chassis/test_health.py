"""Readiness: what the checks say, for how long that is believed, and that start and stop overrule them."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from imagetron_chassis.errors import Transient
from imagetron_chassis.health import Health, probes_application


class Dependency:
    """Well until it is told an error; counts how often it was asked."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error


def a_started(**checks: Callable[[], Awaitable[None]]) -> Health:
    health = Health(checks)
    health.set_ready(ready=True)
    return health


async def test_a_started_service_whose_checks_are_well_is_ready():
    health = a_started(broker=Dependency().ping, store=Dependency().ping)

    assert await health.readiness() == (True, {"broker": "ok", "store": "ok"})


async def test_a_service_without_checks_is_ready_once_it_has_started():
    assert await a_started().readiness() == (True, {})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Transient("nobody consumes deriver.renders-generated"), "nobody consumes deriver.renders-generated"),
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (Transient(), "Transient"),
        (KeyError("a bug in the check"), "KeyError"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_one_check_that_fails_makes_the_service_unready_and_says_why(error: BaseException, said: str):
    health = a_started(broker=Dependency(error).ping, store=Dependency().ping)

    assert await health.readiness() == (False, {"broker": said, "store": "ok"})


async def test_a_check_that_does_not_answer_fails_after_two_seconds_and_the_others_do_not_wait_for_it_in_turn():
    async def never() -> None:
        await asyncio.Event().wait()

    health = a_started(one=never, two=never)

    async with asyncio.timeout(3):
        ready, checks = await health.readiness()

    assert not ready
    assert checks == {"one": "no answer within 2 s", "two": "no answer within 2 s"}


async def test_many_probes_at_once_ask_each_dependency_once():
    dependency = Dependency()
    health = a_started(broker=dependency.ping)

    answers = await asyncio.gather(*(health.readiness() for _ in range(20)))

    assert dependency.asked == 1
    assert all(ready for ready, _ in answers)


async def test_no_check_makes_a_service_ready_before_it_has_started():
    ready, checks = await Health({"broker": Dependency().ping}).readiness()

    assert not ready
    assert checks == {"broker": "ok", "service": "starting or stopping"}


async def test_a_service_is_unready_from_the_first_moment_of_stopping_whatever_was_said_just_before():
    health = a_started(broker=Dependency().ping)
    assert (await health.readiness())[0]

    health.set_ready(ready=False)

    assert not (await health.readiness())[0]


async def probe(health: Health, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(probes_application(health))
    async with httpx.AsyncClient(transport=transport, base_url="http://probes") as client:
        return await client.get(path)


async def test_readyz_says_yes_with_200_and_lists_the_checks():
    response = await probe(a_started(broker=Dependency().ping), "/readyz")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"broker": "ok"}}


async def test_readyz_says_no_with_503_and_the_reason():
    response = await probe(a_started(broker=Dependency(Transient("away")).ping), "/readyz")

    assert response.status_code == 503
    assert response.json() == {"ready": False, "checks": {"broker": "away"}}


async def test_healthz_is_well_although_a_dependency_is_not():
    response = await probe(a_started(broker=Dependency(Transient("away")).ping), "/healthz")

    assert (response.status_code, response.text) == (200, "ok")


async def test_metrics_are_prometheus_text():
    response = await probe(a_started(), "/metrics")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert "# HELP" in response.text
