"""Who makes pictures, and how they come: data that the code behind each provider has to match. No transport."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from imagetron_contracts.spec import TRITON
from imagetron_contracts.stages import Pool


class Delivery(StrEnum):
    """How a provider hands over what it made."""

    DIRECT = "direct"
    """The call returns the picture; a worker holds it meanwhile."""
    POLLED = "polled"
    CALLED_BACK = "called_back"

    @property
    def is_held(self) -> bool:
        """A worker holds the family while it is made: long ones are asked for image by image."""
        return self is Delivery.DIRECT


DELIVERY_OF: Final[Mapping[str, Delivery]] = MappingProxyType(
    {
        TRITON: Delivery.DIRECT,
        "openai": Delivery.DIRECT,
        "callback": Delivery.CALLED_BACK,
        "polled": Delivery.POLLED,
    }
)


def pool_of(provider: str) -> Pool:
    """Whose workers take its families: our own GPU's, or those that wait for other people's servers."""
    return Pool.GPU if provider == TRITON else Pool.EXTERNAL
