"""Start in order, stop in reverse, and what a failure on either way leaves running."""

import pytest

from imagetron_chassis.errors import Permanent, Transient
from imagetron_chassis.health import Health
from imagetron_chassis.lifecycle import Part, Service


class Parts:
    """Named parts that write down what becomes of them, and whether the service was ready at that moment."""

    def __init__(self, *names: str, fails_to_start: str = "", fails_to_stop: str = "") -> None:
        self.story: list[str] = []
        self.was_ready: dict[str, bool] = {}
        self._fails_to_start = fails_to_start
        self._fails_to_stop = fails_to_stop
        self.health = Health({})
        self.service = Service("test", self.health, [self._part(name) for name in names])

    def _part(self, name: str) -> Part:
        async def start() -> None:
            await self._note(f"start {name}")
            if name == self._fails_to_start:
                raise Permanent(f"{name} cannot start")

        async def stop() -> None:
            await self._note(f"stop {name}")
            if name == self._fails_to_stop:
                raise Permanent(f"{name} cannot stop")

        return Part(name, start, stop)

    async def _note(self, what: str) -> None:
        self.story.append(what)
        self.was_ready[what], _ = await self.health.readiness()


async def test_parts_start_in_order_and_stop_in_reverse():
    parts = Parts("probes", "broker", "consumer")

    async with parts.service.running():
        parts.story.append("at work")

    assert parts.story == [
        *("start probes", "start broker", "start consumer"),
        "at work",
        *("stop consumer", "stop broker", "stop probes"),
    ]


async def test_the_service_is_ready_exactly_between_the_last_start_and_the_first_stop():
    parts = Parts("probes", "consumer")

    async with parts.service.running():
        assert (await parts.health.readiness())[0]

    assert not any(parts.was_ready.values())


async def test_a_part_that_fails_to_start_stops_itself_and_all_that_had_started_and_nothing_else():
    parts = Parts("probes", "broker", "consumer", fails_to_start="broker")

    with pytest.raises(Permanent, match="broker cannot start"):
        async with parts.service.running():
            pytest.fail("must not run")

    assert parts.story == ["start probes", "start broker", "stop broker", "stop probes"]
    assert not (await parts.health.readiness())[0]


async def test_a_part_that_fails_to_stop_does_not_keep_the_others_from_stopping():
    parts = Parts("probes", "broker", "consumer", fails_to_stop="consumer")

    with pytest.raises(Permanent, match="consumer cannot stop"):
        async with parts.service.running():
            pass

    assert parts.story[-3:] == ["stop consumer", "stop broker", "stop probes"]


async def test_an_error_at_work_stops_every_part():
    parts = Parts("probes", "broker")

    with pytest.raises(LookupError):
        async with parts.service.running():
            raise LookupError

    assert parts.story[-2:] == ["stop broker", "stop probes"]


async def test_a_part_whose_neighbour_is_away_is_started_again_until_it_is_there():
    tries: list[int] = []

    async def start() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise Transient("the document store is away")

    async def stop() -> None: ...

    health = Health({})
    async with Service("test", health, [Part("documents", start, stop)]).running():
        assert (await health.readiness())[0]

    assert len(tries) == 3
