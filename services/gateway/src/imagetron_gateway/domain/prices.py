"""What a picture costs: by the pixels that its caller asked for. Money is counted in whole micro-dollars; no rounding adds up."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from pydantic import Field

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value

MICROS: Final = 1_000_000
"""Of one US dollar."""


class PriceTier(Value):
    """The price of a delivered image whose master has at most this many pixels."""

    up_to: Dimensions
    usd: Decimal = Field(ge=0, max_digits=12, decimal_places=6)


class Cost(Value):
    """Of a job, in micro-dollars. Only delivered images are charged; an estimate is what all of them would cost."""

    estimated_micros: int = 0
    actual_micros: int = 0

    def expecting(self, more_micros: int) -> "Cost":
        """With the estimate of a new run on top of what was charged."""
        return Cost(estimated_micros=self.actual_micros + more_micros, actual_micros=self.actual_micros)

    def charged(self, micros: int) -> "Cost":
        """With another delivered image."""
        return Cost(estimated_micros=self.estimated_micros, actual_micros=self.actual_micros + micros)


NOTHING: Final = Cost()


def price_micros(size: Dimensions, tiers: Sequence[PriceTier]) -> int:
    """Of one image of this size: the smallest tier that holds its pixels; the largest tier for whatever is larger."""
    pixels = size.width * size.height
    ordered = sorted(tiers, key=lambda tier: tier.up_to.width * tier.up_to.height)
    tier = next((tier for tier in ordered if pixels <= tier.up_to.width * tier.up_to.height), ordered[-1])
    return int(tier.usd * MICROS)
