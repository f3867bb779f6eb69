"""The seeds of a family's images, from the one that the caller chose or that was drawn."""

from typing import Final

MAX_SEED: Final = 2**63 - 1


def seed_of(seed: int, index: int) -> int:
    """One apart, so that each image is another picture; round the end of what stores and models take."""
    return (seed + index) % (MAX_SEED + 1)
