"""How an outside provider stands, told by the calls that are made anyway."""

import asyncio

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.breaker import BreakerRules
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.message import Message
from imagetron_contracts.stages import ModelHealth
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelPaused,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
)
from imagetron_generator.usecases.standing import MENDED_AFTER_SECONDS, Standing, report_standings

RULES = BreakerRules(window_seconds=300, least_calls=3, open_seconds=30)


class Provider:
    """A standing on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.standing = Standing("openai", ("gpt-image-1",), lambda: self.seconds, chance=lambda: 0, rules=RULES)

    def is_available(self) -> bool:
        return self.standing.is_available

    def called(self, error: BaseException | None = None) -> None:
        """A call that may be left out."""
        with self.standing.call():
            if error:
                raise error

    def fails(self, times: int, error: ChassisError) -> None:
        for _ in range(times):
            with pytest.raises(type(error)):
                self.called(error)


@pytest.fixture
def provider() -> Provider:
    return Provider()


def test_what_is_configured_is_available_until_calls_say_otherwise(provider: Provider):
    assert provider.is_available()
    assert provider.standing.last_error is None


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelTimedOut("hangs"), ModelFailed("broke")])
def test_failure_after_failure_pauses_the_calls_and_the_last_one_is_told(provider: Provider, error: ChassisError):
    provider.fails(2, error)
    assert provider.is_available()

    provider.fails(1, error)

    assert not provider.is_available()
    assert provider.standing.last_error == str(error)
    with pytest.raises(ModelPaused) as caught:
        provider.called()
    assert caught.value.retry_after_seconds == 30


@pytest.mark.parametrize("error", [ProviderBusy("slow down"), ModelRefused("no"), ContentFiltered("withheld")])
def test_answers_that_say_nothing_against_it_change_nothing(provider: Provider, error: ChassisError):
    provider.fails(9, error)

    assert provider.is_available()
    assert provider.standing.last_error is None


@pytest.mark.parametrize("error", [ProviderQuotaSpent("spent"), ProviderMisconfigured("wrong key")])
def test_what_an_operator_must_mend_makes_it_unavailable_at_once_for_a_while_and_pauses_nothing(provider, error):
    provider.fails(1, error)

    assert not provider.is_available()
    assert provider.standing.last_error == str(error)
    provider.fails(9, error)
    provider.seconds += MENDED_AFTER_SECONDS
    assert provider.is_available()
    assert provider.standing.last_error == str(error)


def test_a_good_call_makes_it_available_and_forgets_the_error(provider: Provider):
    provider.fails(1, ProviderQuotaSpent("spent"))

    provider.called()

    assert provider.is_available()
    assert provider.standing.last_error is None


def test_when_its_time_is_over_it_is_available_and_one_call_tells(provider: Provider):
    provider.fails(3, ModelFailed("broke"))
    provider.seconds = 30
    assert provider.is_available()

    with provider.standing.call():
        with pytest.raises(ModelPaused) as caught:
            provider.called()
        assert caught.value.retry_after_seconds == 5

    provider.called()


def test_a_canary_that_fails_pauses_it_for_twice_as_long(provider: Provider):
    provider.fails(3, ModelFailed("broke"))
    provider.seconds = 30

    provider.fails(1, ModelTimedOut("hangs"))

    provider.seconds += 59
    assert not provider.is_available()
    provider.seconds += 1
    assert provider.is_available()


def test_work_is_never_sent_away_for_longer_than_two_minutes(provider: Provider):
    provider.fails(3, ModelFailed("broke"))
    for _ in range(6):
        provider.seconds += 300
        provider.fails(1, ModelTimedOut("hangs"))

    with pytest.raises(ModelPaused) as caught:
        provider.called()

    assert caught.value.retry_after_seconds == 120


def test_a_withheld_picture_is_a_good_canary(provider: Provider):
    provider.fails(3, ModelFailed("broke"))
    provider.seconds = 30

    provider.fails(1, ContentFiltered("withheld"))

    with provider.standing.call():
        provider.called()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ProviderBusy("slow down"), ModelRefused("no")])
def test_a_canary_that_tells_nothing_leaves_it_to_the_next_call(provider: Provider, error: BaseException):
    provider.fails(3, ModelFailed("broke"))
    provider.seconds = 30

    with pytest.raises(type(error)):
        provider.called(error)

    provider.called()
    with provider.standing.call():
        provider.called()


def test_calls_that_are_only_listened_to_are_never_held_back_and_tell_as_well(provider: Provider):
    for _ in range(5):
        with pytest.raises(ModelFailed), provider.standing.heard():
            raise ModelFailed("broke")

    assert not provider.is_available()


def test_each_change_is_logged(provider: Provider):
    with capture_logs() as lines:
        provider.fails(3, ModelFailed("broke"))
        provider.seconds = 30
        provider.called()

    assert [(line["provider"], line["state"]) for line in lines] == [
        ("openai", "open"),
        ("openai", "half_open"),
        ("openai", "closed"),
    ]


async def test_each_model_is_reported_with_its_providers_standing_and_last_error(provider: Provider):
    other = Standing("polled", ("nanobanana", "nanobanana-2"), lambda: 0.0, chance=lambda: 0)
    provider.fails(1, ModelFailed("broke"))
    said: list[Message] = []
    clock = FakeClock()

    async def announce(message: Message) -> None:
        said.append(message)

    async def told() -> list[tuple[str, bool, str | None]]:
        said.clear()
        await report_standings([provider.standing, other], reporter="here-1", announce=announce, clock=clock)
        reports = [message for message in said if isinstance(message, ModelHealth)]
        assert {(report.reporter, report.checked_at) for report in reports} == {("here-1", clock.now())}
        return [(report.model, report.is_available, report.error) for report in reports]

    assert await told() == [("gpt-image-1", True, "broke"), ("nanobanana", True, None), ("nanobanana-2", True, None)]
    provider.fails(2, ModelFailed("broke again"))
    assert (await told())[0] == ("gpt-image-1", False, "broke again")
