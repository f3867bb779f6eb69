"""One render to pictures: look if there is need to, decide where the windows lie, cut. Nothing is stored but what was found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.crops import Crop, Fit, Subject
from imagetron_contracts.crops import Window as ToldWindow
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import FileSpec
from imagetron_deriver.domain.cuts import plan
from imagetron_deriver.domain.subjects import Found
from imagetron_deriver.domain.windows import Placed, place
from imagetron_deriver.ports import Cutter, Picture
from imagetron_deriver.usecases.inputs import Wanted, read_render
from imagetron_deriver.usecases.looking import keep_finding, known_finding, must_look


@dataclass(frozen=True, slots=True)
class Source:
    """A render in the work store, of the promised size; `lender` is its family, if it is not the picture's own."""

    index: int
    key: str
    size: Dimensions
    subject: Subject | None
    """What the caller says of this render: of another family's he may have said something else."""
    lender: str | None = None


@dataclass(frozen=True, slots=True)
class Cropped:
    """A picture, and what it shows of which render. Files that are the same picture share it."""

    picture: Picture
    crop: Crop


@dataclass(frozen=True, slots=True)
class Cropping:
    """What came of one render: the pictures that were cut of it, and those files that were passed over."""

    cropped: Mapping[FileSpec, Cropped]
    passed_over: tuple[FileSpec, ...]
    found: Found | None
    seconds: float


async def crop(
    source: Source,
    files: Sequence[FileSpec],
    wanted: Wanted,
    *,
    take: Callable[[Placed], bool],
    work: Blobs,
    cutter: Cutter,
) -> Cropping:
    """Cut the files whose window is to be taken.

    Raises RenderLost, RenderUnreadable, what a Cutter raises, what Blobs raise.
    """
    sizes = tuple(dict.fromkeys(file.size for file in files))
    is_looked_for = must_look(source.size, sizes)
    # Before the render is opened: no process waits for the store.
    known = await known_finding(source.key, work) if is_looked_for else None
    render = await read_render(source.key, source.index, work)
    async with cutter.opened(render, source.size) as opened:
        found = await opened.look() if is_looked_for and known is None else known
        placed = {size: place(source.size, size, source.subject, found) for size in sizes}
        taken = tuple(file for file in files if take(placed[file.size]))
        windows = {size: each.window for size, each in placed.items()}
        to_do = plan(taken, windows, wanted.output, wanted.spec.prompt)
        cutting = await opened.cut(to_do.cuts) if to_do.cuts else None
    if found is not None and known is None:
        await keep_finding(source.key, found, work)
    pictures = cutting.pictures if cutting else ()
    return Cropping(
        cropped={file: Cropped(pictures[position], _told(placed[file.size], source)) for file, position in to_do.files},
        passed_over=tuple(file for file in files if file not in taken),
        found=found,
        seconds=cutting.seconds if cutting else 0,
    )


def _told(placed: Placed, source: Source) -> Crop:
    window = placed.window
    return Crop(
        window=ToldWindow(left=window.left, top=window.top, width=window.width, height=window.height),
        evidence=placed.evidence,
        fit=Fit.BORROWED if source.lender else placed.fit,
        family=source.lender,
    )
