"""What the pictures are worth: bytes and likeness of every file, not timed."""

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from derive import similarity
from derive.jobs import Job
from derive.measure import FAST, ONCE_FAST, PLAIN, QUALITY, Way, started
from derive.ours import Ours
from derive.similarity import Likeness

# From PPM the pixels are those from PNG, and decoding once makes no difference to Sharp's files.
WAYS: Final = (
    Way(PLAIN, "png"),
    Way(ONCE_FAST, "png"),
    Way(QUALITY, "png"),
    Way(FAST, "png"),
    Way(PLAIN, "webp"),
    Way(QUALITY, "webp"),
)


@dataclass(frozen=True, slots=True)
class File:
    """One file that was made: against the common reference, and against what its own side gave to its encoder."""

    way: Way
    photograph: str
    shape: str
    size: tuple[int, int]
    byte_count: int
    common: Likeness
    own: Likeness


@dataclass(frozen=True, slots=True)
class Files:
    """All of one way and shape."""

    files: tuple[File, ...]

    @property
    def byte_count(self) -> int:
        return sum(file.byte_count for file in self.files)

    @property
    def common(self) -> Likeness:
        return similarity.mean([file.common for file in self.files])

    @property
    def own(self) -> Likeness:
        return similarity.mean([file.own for file in self.files])

    def more_bytes(self, than: "Files") -> float:
        """As a share of the others', all files together."""
        return self.byte_count / than.byte_count - 1

    def spread(self, than: "Files") -> str:
        """Of the single files."""
        pairs = list(zip(self.files, than.files, strict=True))
        more = [100 * (one.byte_count / other.byte_count - 1) for one, other in pairs]
        nearer = [one.own.ssim - other.own.ssim for one, other in pairs]
        return (
            f"single files: bytes {min(more):+.1f} to {max(more):+.1f} %, median {statistics.median(more):+.1f} %; "
            f"own SSIM {min(nearer):+.4f} to {max(nearer):+.4f}"
        )


async def files(jobs: Sequence[Job]) -> list[File]:
    found: list[File] = []
    async with AsyncExitStack() as stack:
        everybody = await started(stack, 2)
        for job in jobs:
            references = {
                kind: [similarity.reference(job.pixels(kind), size) for size in job.shape.sizes]
                for kind in dict.fromkeys(way.kind for way in WAYS)
            }
            for way in WAYS:
                side = everybody[way.who]
                made = await side.make(job, way.kind)
                own = await side.resized(job, way.kind)
                for size, data, pixels, reference in zip(job.shape.sizes, made, own, references[way.kind], strict=True):
                    picture = similarity.decoded(data)
                    resized = similarity.decoded(pixels) if isinstance(side, Ours) else similarity.raw(pixels, size)
                    found.append(
                        File(
                            way,
                            job.photograph,
                            job.shape.name,
                            size,
                            len(data),
                            Likeness.between(reference, picture),
                            Likeness.between(resized, picture),
                        )
                    )
    return found


def of(files: Sequence[File], shape: str, way: Way) -> Files:
    return Files(tuple(file for file in files if (file.shape, file.way) == (shape, way)))
