"""Our side: the cutter of a running deriver, asked as its use case asks it; and the encoders alone."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from derive.jobs import Job
from PIL import Image

from imagetron_chassis.marks.packets import packet
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec, Output, Profile
from imagetron_deriver.adapters.imaging.encoders import ENCODERS
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.domain.cuts import plan
from imagetron_deriver.domain.windows import has_freedom, place


class Ours:
    """The derivatives of a job with one profile, by as many children as there are cores."""

    def __init__(self, processes: PillowProcesses, profile: Profile) -> None:
        self._processes = processes
        self._profile = profile

    @property
    def process_ids(self) -> list[int]:
        return self._processes.process_ids

    async def make(self, job: Job, kind: str) -> list[bytes]:
        return await self._cut(job, kind, ImageFormat.WEBP)

    async def resized(self, job: Job, kind: str) -> list[bytes]:
        """The pixels that it would have encoded: as PNG, which loses none."""
        return await self._cut(job, kind, ImageFormat.PNG)

    async def _cut(self, job: Job, kind: str, form: ImageFormat) -> list[bytes]:
        render, output = _dimensions(job.shape.render), Output(profile=self._profile)
        files = [
            FileSpec(name=str(number), size=_dimensions(size), format=form)
            for number, size in enumerate(job.shape.sizes)
        ]
        windows = {file.size: place(render, file.size, None, None).window for file in files}
        async with self._processes.opened(job.inputs[kind], render) as opened:
            # As the use case: nobody looks at a render whose cuts have no freedom.
            if any(has_freedom(render, file.size) for file in files):
                await opened.look()
            cutting = await opened.cut(plan(files, windows, output, "").cuts)
        return [picture.data for picture in cutting.pictures]


@asynccontextmanager
async def children(count: int) -> AsyncIterator[PillowProcesses]:
    # None is replaced while it is measured: its clock would be gone.
    processes = PillowProcesses(count, renders_each=1 << 30)
    await processes.start()
    try:
        yield processes
    finally:
        await processes.stop()


def encoding_seconds(pictures: list[Image.Image], profile: Profile) -> float:
    """Processor time of the deriver's encoder alone, in this process, with the pixels ready."""
    encoder, mark = ENCODERS[ImageFormat.WEBP.value], packet()
    began = time.process_time()
    for picture in pictures:
        encoder.encode(picture, mark, profile.value)
    return time.process_time() - began


def _dimensions(size: tuple[int, int]) -> Dimensions:
    return Dimensions(width=size[0], height=size[1])
