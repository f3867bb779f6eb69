"""Which lane a free slot takes. Who waits, and how, is usecases/slots.py's."""

from collections.abc import Collection
from typing import Final

from imagetron_contracts.stages import Lane

# Interactive first, yet at least every tenth family is a batch one where batch waits.
INTERACTIVE_IN_A_ROW: Final = 9


def next_lane(waiting: Collection[Lane], interactive_in_a_row: int) -> Lane | None:
    """The lane whose turn it is after so many interactive families in a row; None if nobody waits."""
    if Lane.INTERACTIVE in waiting and (Lane.BATCH not in waiting or interactive_in_a_row < INTERACTIVE_IN_A_ROW):
        return Lane.INTERACTIVE
    return Lane.BATCH if Lane.BATCH in waiting else None
