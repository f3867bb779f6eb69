"""Images of one family stand alone: what the failures of some mean for the whole message. The work itself is the stages'."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log
from imagetron_chassis.verdicts import GiveUp, decide, failure_code
from imagetron_contracts.stages import ImageError


class HasIndex(Protocol):
    """An image of a family's message."""

    @property
    def index(self) -> int: ...


T = TypeVar("T")
ImageT = TypeVar("ImageT", bound=HasIndex)
DoneT = TypeVar("DoneT")


@dataclass(frozen=True, slots=True)
class PerImage(Generic[DoneT]):
    """What came of a family, in the order of its images: at least one is done, and no other try helps the others."""

    done: tuple[DoneT, ...]
    errors: tuple[ImageError, ...]


async def all_ended(*work: Awaitable[T]) -> list[T]:
    """The results of work done at once. An error is raised only when all of it has ended: nothing of a failed try may
    still be under way when the next one begins.
    """
    results: list[T] = []
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


async def each_alone(
    images: Sequence[ImageT], work: Callable[[ImageT], Awaitable[DoneT]], *, family: str, tries: int, log_failure: str
) -> PerImage[DoneT]:
    """Do the work for all images at once; a ChassisError is one image's own and is raised after all have ended, if ever.

    While another try (this is the `tries`-th) can still help one image, its error is raised: doing again what is done
    must cost nothing. Raised too if no image is left.
    """

    async def attempt(image: ImageT) -> _Done[DoneT] | _Failed:
        try:
            return _Done(await work(image))
        except ChassisError as error:
            log().warning(log_failure, family=family, index=image.index, reason=str(error))
            return _Failed(image.index, error)

    outcomes = await all_ended(*(attempt(image) for image in images))
    failures = [outcome for outcome in outcomes if isinstance(outcome, _Failed)]
    for failure in failures:
        if not isinstance(decide(failure.error, tries, somebody_waits=True), GiveUp):
            raise failure.error
    if failures and len(failures) == len(outcomes):
        raise failures[0].error
    return PerImage(
        done=tuple(outcome.result for outcome in outcomes if isinstance(outcome, _Done)),
        errors=tuple(failure.as_error() for failure in failures),
    )


@dataclass(frozen=True, slots=True)
class _Done(Generic[DoneT]):
    result: DoneT


@dataclass(frozen=True, slots=True)
class _Failed:
    index: int
    error: ChassisError

    def as_error(self) -> ImageError:
        return ImageError(index=self.index, code=failure_code(self.error), message=str(self.error))
