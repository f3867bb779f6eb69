"""The plan of one render: which pictures are cut from it, and under which names they are filed. No pixels, no encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec
from imagetron_deriver.domain.windows import Window, window


@dataclass(frozen=True, slots=True)
class Cut:
    """One picture to make: a window of the render, brought to a size and encoded."""

    window: Window
    size: Dimensions
    format: ImageFormat


@dataclass(frozen=True, slots=True)
class Plan:
    """The different pictures of a render, and for each file asked for (in that order) which of them it is."""

    cuts: tuple[Cut, ...]
    files: tuple[tuple[FileSpec, int], ...]

    def file_name(self, cut: int) -> str:
        """The name under which a picture is stored: its first file's."""
        first = next(file for file, position in self.files if position == cut)
        return f"{first.name}.{first.format.extension}"


def plan(render: Dimensions, files: Sequence[FileSpec]) -> Plan:
    """Equal pictures are made once: most families' master has a derivative of its own size."""
    cuts = [Cut(window(render, file.size), file.size, file.format) for file in files]
    different = tuple(dict.fromkeys(cuts))
    return Plan(
        cuts=different, files=tuple((file, different.index(cut)) for file, cut in zip(files, cuts, strict=True))
    )
