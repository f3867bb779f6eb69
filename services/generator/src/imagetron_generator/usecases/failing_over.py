"""When another provider's model makes an image that the first one cannot, and whose error counts if both fail. Pure tables."""

from collections.abc import Mapping
from typing import Final

from imagetron_chassis.errors import ChassisError, Permanent, QuotaExceeded, UnknownOutcome
from imagetron_generator.ports import (
    ModelOutOfMemory,
    ModelPaused,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
)

# From which try on. A restart of our server is over before the second, and must not cost money; memory may have been
# somebody else's, and is tried once more anyway. The others have been waited for already, or waiting would not help.
# Not among them: what the provider decided about this very picture, what may have been made and paid for, a queue that is
# merely full, and whatever befalls our stores and readers.
FAILS_OVER_FROM_TRY: Final[Mapping[type[ChassisError], int]] = {
    ModelUnavailable: 2,
    ModelOutOfMemory: 2,
    ModelPaused: 1,
    ProviderBusy: 1,
    ProviderQuotaSpent: 1,
    ProviderMisconfigured: 1,
}
_HOPELESS: Final = (Permanent, QuotaExceeded)


def fails_over(error: ChassisError, tries: int) -> bool:
    """Whether the image goes to the other provider after this error of the first one, on the message's so many-th try."""
    return any(isinstance(error, kind) and tries >= first for kind, first in FAILS_OVER_FROM_TRY.items())


def that_speaks(first: ChassisError, other: ChassisError) -> ChassisError:
    """The error of an image for which both providers failed: it decides whether, and how soon, there is another try."""
    if isinstance(other, UnknownOutcome):
        return other  # It may have been paid for: only that class's few tries are right.
    return other if isinstance(first, _HOPELESS) and not isinstance(other, _HOPELESS) else first
