"""The plan of one render: which different pictures are made of it for a spec's files. No pixels, no encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec, Output, Profile, Watermark
from imagetron_deriver.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Cut:
    """One picture to make: a window of the render, brought to a size, and how that becomes a file."""

    window: Window
    size: Dimensions
    format: ImageFormat
    profile: Profile = Profile.QUALITY
    watermark: Watermark | None = None
    prompt: str | None = None
    """For the file's metadata."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The different pictures of a render, and for each file asked for (in that order) which of them it is."""

    cuts: tuple[Cut, ...]
    files: tuple[tuple[FileSpec, int], ...]


def plan(files: Sequence[FileSpec], windows: Mapping[Dimensions, Window], output: Output, prompt: str) -> Plan:
    """Equal pictures are made once: most families' master has a derivative of its own size."""
    cuts = [
        Cut(
            window=windows[file.size],
            size=file.size,
            format=file.format,
            profile=output.profile,
            watermark=None if file.is_for_stock else output.watermark,
            prompt=prompt if output.embeds_prompt else None,
        )
        for file in files
    ]
    different = tuple(dict.fromkeys(cuts))
    return Plan(
        cuts=different, files=tuple((file, different.index(cut)) for file, cut in zip(files, cuts, strict=True))
    )
