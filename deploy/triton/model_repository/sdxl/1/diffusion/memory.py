"""Which loaded things fit: a shelf with a budget that puts away what was used longest ago, and never what is in use."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Generic, TypeVar

import torch

from .failures import OutOfMemory

T = TypeVar("T")


@dataclass
class _Place(Generic[T]):
    thing: T
    size_bytes: int
    borrowers: int = 0


class Shelf(Generic[T]):
    """`room(kept)` says how many bytes are free when `kept` bytes lie on the shelf; `release` frees what was dropped."""

    def __init__(self, *, room: Callable[[int], int], release: Callable[[], None]) -> None:
        self._room = room
        self._release = release
        self._places: OrderedDict[str, _Place[T]] = OrderedDict()
        self._changed = Condition()

    @property
    def names(self) -> list[str]:
        """Least recently used first."""
        with self._changed:
            return list(self._places)

    @contextmanager
    def borrowed(self, name: str, size_bytes: int, load: Callable[[], T]) -> Iterator[T]:
        """The thing, loaded if it is not on the shelf; it stays there at least as long as the block runs.

        Loading holds the shelf: two callers never load at once. OutOfMemory if it cannot fit beside what is in use.
        """
        with self._changed:
            place = self._places.get(name)
            if place is None:
                self._make_room(name, size_bytes)
                place = self._places[name] = _Place(self._loaded(load), size_bytes)
            self._places.move_to_end(name)
            place.borrowers += 1
        try:
            yield place.thing
        finally:
            with self._changed:
                place.borrowers -= 1

    def clear(self) -> None:
        """Put away all that is not in use."""
        with self._changed:
            for name in [name for name, place in self._places.items() if not place.borrowers]:
                del self._places[name]
            self._release()

    def _loaded(self, load: Callable[[], T]) -> T:
        try:
            return load()
        except BaseException:
            self._release()
            raise

    def _make_room(self, name: str, size_bytes: int) -> None:
        while (free := self._room(sum(place.size_bytes for place in self._places.values()))) < size_bytes:
            idle = next((other for other, place in self._places.items() if not place.borrowers), None)
            if idle is None:
                raise OutOfMemory(
                    f"The checkpoint {name} needs {size_bytes / 2**20:.1f} MiB of memory; {max(free, 0) / 2**20:.1f} MiB "
                    f"are free and {len(self._places)} other checkpoints are in use."
                )
            del self._places[idle]
            self._release()


def room_on(device: torch.device, budget_bytes: int | None, reserve_bytes: int) -> Callable[[int], int]:
    """How much more fits: of a fixed budget, or of what the device has free less the reserve."""
    if budget_bytes is not None:
        return lambda kept: budget_bytes - kept
    if device.type == "cuda":
        return lambda _kept: torch.cuda.mem_get_info(device)[0] - reserve_bytes
    return lambda _kept: _available_bytes()


def free_caches() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """PyTorch says it as an OutOfMemoryError on a GPU, and as a plain RuntimeError on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _available_bytes() -> int:
    with open("/proc/meminfo") as lines:  # noqa: PTH123 a file of the kernel
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0
