"""Repeatable chance: integer hashing only, so that no Python or numpy version, thread or process changes a picture."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64's increment
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # and its two multipliers


def _mixed(value: int) -> int:
    value = ((value ^ (value >> 30)) * _MIX[0]) & _MASK
    value = ((value ^ (value >> 27)) * _MIX[1]) & _MASK
    return value ^ (value >> 31)


def random_field(key: int, *shape: int) -> np.ndarray:
    """Uniform float32 numbers in [0, 1): the first numbers of `key`'s stream, in C order."""
    count = int(np.prod(shape))
    state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(key)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_MIX[0])
    state = (state ^ (state >> np.uint64(27))) * np.uint64(_MIX[1])
    state ^= state >> np.uint64(31)
    # 24 bits fill a float32's mantissa exactly: no rounding anywhere.
    return ((state >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


class Dice:
    """A stream of scalars; `named` gives independent streams, so that one ingredient's draws never move another's."""

    def __init__(self, key: int) -> None:
        self.key = key & _MASK
        self._drawn = 0

    @classmethod
    def of(cls, *parts: str) -> "Dice":
        digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
        return cls(int.from_bytes(digest[:8], "big"))

    def named(self, name: str) -> "Dice":
        return Dice.of(str(self.key), name)

    def unit(self) -> float:
        self._drawn += 1
        return (_mixed((self.key + self._drawn * _GOLDEN) & _MASK) >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def sign(self) -> int:
        return 1 if self.unit() < 0.5 else -1  # noqa: PLR2004

    def pick(self, items: "Sequence[T]") -> T:
        return items[int(self.unit() * len(items))]
