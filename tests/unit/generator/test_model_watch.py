"""The rounds of synthetic inferences: they open a circuit that too few calls pass, and are its one canary."""

from collections.abc import Mapping

import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.stages import ModelHealth
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import (
    ModelFailed,
    ModelOutOfMemory,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    OnStep,
    QueueFull,
)
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.model_watch import RETRY_SECONDS, ModelWatch
from imagetron_generator.usecases.pulse import Pulse
from unit.generator.bench import Bench


class Moody(InMemoryImageModel):
    """Each model's mood: the error that its calls end with, after some seconds; None: a picture at once."""

    def __init__(self, bench: Bench, moods: Mapping[str, ChassisError | None], *, seconds: float) -> None:
        super().__init__()
        self._bench = bench
        self.moods = dict(moods)
        self._seconds = seconds

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        error = self.moods[request.model]
        if error is None:
            return await super().render(request, on_step, deadline_seconds=deadline_seconds)
        self.requests.append(request)
        self._bench.seconds += self._seconds
        raise error

    def asked(self) -> list[str]:
        names = [request.model for request in self.requests]
        self.requests.clear()
        return names


class Watched:
    """A watch over these models."""

    def __init__(self, *, seconds: float = 30, **moods: ChassisError | None) -> None:
        self.bench = Bench()
        self.model = Moody(self.bench, moods, seconds=seconds)
        self.said: list[str] = []
        self.circuit = Circuit(
            self.bench.timer,
            chance=lambda: 0,
            opened=lambda: self.said.append("opened"),
            closed=lambda: self.said.append("closed"),
        )
        self._watch = ModelWatch(
            tuple(moods),
            reporter="here-1",
            pulse=Pulse(self.model, self.bench.timer),
            circuit=self.circuit,
            announce=self.bench.announce,
            clock=self.bench.clock,
            timer=self.bench.timer,
        )

    async def round(self) -> float | None:
        return await self._watch.round()

    def reports(self) -> dict[str, bool]:
        told = {report.model: report.is_available for report in self.bench.heard(ModelHealth)}
        self.bench.said.clear()
        return told

    def opened_by_calls_of(self, model: str) -> None:
        for _ in range(10):
            self.circuit.call_ended(model=model, has_failed=True)
        assert self.said == ["opened"]


async def test_while_all_is_well_every_model_is_asked_at_the_usual_time():
    watched = Watched(sdxl=None, anime=None)

    assert await watched.round() is None

    assert watched.model.asked() == ["sdxl", "anime"]
    assert watched.reports() == {"sdxl": True, "anime": True}


async def test_a_model_that_hangs_opens_the_circuit_although_no_call_ever_ended():
    watched = Watched(sdxl=ModelTimedOut("hangs"))

    wanted_in = await watched.round()

    assert watched.said == ["opened"]
    assert wanted_in == 10
    assert watched.reports() == {"sdxl": False}


async def test_a_server_that_restarts_opens_nothing_and_is_asked_again_soon():
    watched = Watched(sdxl=ModelUnavailable("restarting"), seconds=0)

    assert await watched.round() == RETRY_SECONDS

    assert not watched.said


async def test_one_model_that_is_not_there_leaves_the_others_their_work():
    watched = Watched(sdxl=None, anime=ModelUnavailable("not loaded"))

    assert await watched.round() == RETRY_SECONDS

    assert not watched.said
    assert watched.reports() == {"sdxl": True, "anime": False}


@pytest.mark.parametrize("error", [ModelRefused("no such size"), ModelOutOfMemory("too big")])
async def test_an_answer_that_is_no_picture_is_still_an_answer(error: ChassisError):
    watched = Watched(sdxl=error)

    await watched.round()

    assert not watched.said


@pytest.mark.parametrize("error", [ModelTimedOut("hangs"), QueueFull("full"), ModelFailed("broke")])
async def test_a_queue_that_is_full_without_a_single_step_is_a_server_that_hangs(error: ChassisError):
    watched = Watched(sdxl=error)

    await watched.round()

    assert watched.said == ["opened"]


async def test_while_it_is_open_nothing_is_asked_before_the_canary_is_due_and_the_gateway_hears_why():
    watched = Watched(sdxl=None, anime=None)
    watched.opened_by_calls_of("anime")
    watched.bench.seconds += 4

    assert await watched.round() == 6

    assert not watched.model.asked()
    [first, *_] = watched.bench.heard(ModelHealth)
    assert "paused" in str(first.error)
    assert watched.reports() == {"sdxl": False, "anime": False}


async def test_the_canary_is_one_picture_of_the_model_that_is_to_blame_and_a_good_one_closes_the_circuit():
    watched = Watched(sdxl=None, anime=None)
    watched.opened_by_calls_of("anime")
    watched.bench.seconds += 10

    wanted_in = await watched.round()

    assert watched.model.asked() == ["anime"]
    assert watched.said == ["opened", "closed"]
    assert wanted_in == 0
    assert await watched.round() is None
    assert watched.reports() == {"sdxl": True, "anime": True}


async def test_a_canary_that_fails_keeps_it_open_for_twice_as_long():
    watched = Watched(sdxl=ModelTimedOut("hangs"))
    await watched.round()
    watched.bench.seconds += 10
    watched.model.asked()

    assert await watched.round() == 20

    assert watched.model.asked() == ["sdxl"]
    assert watched.said == ["opened"]


async def test_a_canary_whose_report_could_not_leave_is_sent_again():
    watched = Watched(sdxl=None)
    watched.opened_by_calls_of("sdxl")
    watched.bench.seconds += 10
    watched.bench.announce_errors = [ModelUnavailable("the broker is away")]
    with pytest.raises(ModelUnavailable):
        await watched.round()
    assert not watched.circuit.is_closed

    await watched.round()

    assert watched.circuit.is_closed


async def test_a_model_that_is_gone_for_good_does_not_keep_the_others_closed_off():
    watched = Watched(sdxl=None, anime=None, gone=ModelUnavailable("not loaded"), seconds=0)
    watched.opened_by_calls_of("gone")
    watched.bench.seconds += 10

    assert await watched.round() == 20
    watched.bench.seconds += 20
    await watched.round()

    assert watched.model.asked() == ["gone", "sdxl"]
    assert watched.said == ["opened", "closed"]


async def test_every_watched_model_is_asked_in_turn_if_none_of_them_answered():
    gone = ModelUnavailable("away")
    watched = Watched(sdxl=gone, anime=gone, seconds=0)
    while not watched.said:
        await watched.round()
        watched.bench.seconds += 2
    watched.model.asked()

    for _ in range(3):
        watched.bench.seconds += 300
        await watched.round()

    assert watched.model.asked() == ["sdxl", "anime", "sdxl"]
