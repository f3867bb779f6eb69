"""When another provider may make an image: a decision over every error there is."""

import pytest

from imagetron_chassis import errors
from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.errors import ChassisError
from imagetron_generator import ports
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelOutOfMemory,
    ModelPaused,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
    QueueFull,
)
from imagetron_generator.usecases.failing_over import fails_over, that_speaks

NEVER = None
FROM_TRY = {
    ModelUnavailable: 2,
    ModelOutOfMemory: 2,
    ModelPaused: 1,
    ProviderBusy: 1,
    ProviderQuotaSpent: 1,
    ProviderMisconfigured: 1,
    # The provider decided about this very picture.
    ContentFiltered: NEVER,
    ModelRefused: NEVER,
    # It may have been made, and paid for.
    ModelTimedOut: NEVER,
    ModelFailed: NEVER,
    # Busy is not broken.
    QueueFull: NEVER,
    ports.CallbackUnreadable: NEVER,
    ports.TaskIdTaken: NEVER,
    errors.Retryable: NEVER,
    errors.Transient: NEVER,
    errors.UnknownOutcome: NEVER,
    errors.RateLimited: NEVER,
    errors.QuotaExceeded: NEVER,
    errors.ResourceExhausted: NEVER,
    errors.Permanent: NEVER,
    errors.Poison: NEVER,
    ChassisError: NEVER,
    BlobsUnavailable: NEVER,
}


@pytest.mark.parametrize(("kind", "first"), FROM_TRY.items(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_each_error_sends_an_image_to_the_other_provider_from_its_own_try_on(kind: type[ChassisError], first):
    tries = [number for number in range(1, 7) if fails_over(kind("sentence"), number)]

    assert tries == ([] if first is NEVER else list(range(first, 7)))


def test_no_error_of_the_ports_or_the_chassis_is_left_undecided():
    there = {
        kind
        for module in (ports, errors)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ChassisError)
    }

    assert there <= FROM_TRY.keys()


@pytest.mark.parametrize(
    ("first", "other", "speaks"),
    [
        (ModelUnavailable, ProviderMisconfigured, ModelUnavailable),
        (ModelUnavailable, ProviderQuotaSpent, ModelUnavailable),
        (ModelUnavailable, ContentFiltered, ModelUnavailable),
        (ModelUnavailable, ProviderBusy, ModelUnavailable),
        (ModelPaused, ModelRefused, ModelPaused),
        (ProviderQuotaSpent, ModelUnavailable, ModelUnavailable),
        (ProviderMisconfigured, ModelPaused, ModelPaused),
        (ProviderMisconfigured, ModelRefused, ProviderMisconfigured),
        (ProviderQuotaSpent, ProviderMisconfigured, ProviderQuotaSpent),
        (ModelUnavailable, ModelTimedOut, ModelTimedOut),
        (ProviderMisconfigured, ModelFailed, ModelFailed),
    ],
)
def test_when_both_fail_what_may_have_been_paid_for_speaks_and_else_the_one_that_leaves_hope(first, other, speaks):
    assert type(that_speaks(first("first"), other("other"))) is speaks
