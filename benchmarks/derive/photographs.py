"""Photographs to measure with: real ones, far larger than what is made of them, so that nothing is enlarged to be an input."""

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

FOLDER: Final = Path(__file__).parent / ".photographs"
PACKAGE: Final = "lomiri-wallpapers-16.04"


@dataclass(frozen=True, slots=True)
class Photograph:
    """One file of the package; the digest pins the bytes, whichever version of the package they come in."""

    name: str
    file: str
    sha256: str
    credit: str


PHOTOGRAPHS: Final = (
    Photograph(
        "brook",
        "life_by_Aitzol_Berasategi.jpg",
        "4c119350ead80201fe256850c3d316309ddfb4bdf10b235ce982dcde0c667c05",
        "Aitzol Berasategi, 2018, CC BY 4.0",
    ),
    Photograph(
        "fig",
        "Picture_0B_by_freespace.jpg",
        "c8c0ab18e48d9e0419fe42881112137f3afafc27dfddc29ec3a6d54c56d225ad",
        'Trevor "Freespace", 2018, CC BY 4.0',
    ),
    Photograph(
        "dandelions",
        "seeding_by_Clements_Engelhardt.jpg",
        "a5634d1ab5e41a3568e92d4a894a500c92b891f9ff734e50bd224d6e185a605f",
        "Clemens Engelhardt, 2018, CC0",
    ),
    Photograph(
        "meadow",
        "aitzgorri_by_Aitzol_Berasategi.jpg",
        "66268e7b48f8854d36a28765fac6e23ec1aee251daa6da1f64715f201020ad36",
        "Aitzol Berasategi, 2018, CC BY 4.0",
    ),
    Photograph(
        "dogs",
        "friends_by_Aitzol_Berasategi.jpg",
        "cc40e313c74e421edffe3403def413c16878ce14661cce7ec5915baeab35538d",
        "Aitzol Berasategi, 2018, CC BY 4.0",
    ),
    Photograph(
        "peaks",
        "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "414d0072b2f6f2c555deafeaef6e45c4fed6fa9ad26eba6560ca8803959cf97a",
        "Aitzol Berasategi, 2018, CC BY 4.0",
    ),
)


def fetched() -> Mapping[str, Path]:
    """The files by name, from the folder or, the first time, from Debian's archive through its own client."""
    if not all((FOLDER / photograph.file).exists() for photograph in PHOTOGRAPHS):
        _fetch()
    for photograph in PHOTOGRAPHS:
        if hashlib.sha256((FOLDER / photograph.file).read_bytes()).hexdigest() != photograph.sha256:
            raise SystemExit(f"{FOLDER / photograph.file} is not the photograph that figures were published for.")
    return {photograph.name: FOLDER / photograph.file for photograph in PHOTOGRAPHS}


def render(path: Path, size: tuple[int, int]) -> Image.Image:
    """The photograph as if a model had made it in this size: cut in its middle and made smaller, never larger."""
    with Image.open(path) as file:
        photograph = ImageOps.exif_transpose(file).convert("RGB")
    cut = ImageOps.fit(photograph, size, Image.Resampling.LANCZOS)
    if photograph.width < size[0] or photograph.height < size[1]:
        raise SystemExit(f"{path.name} is smaller than {size[0]}x{size[1]}.")
    return cut


def _fetch() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        try:
            subprocess.run(["apt-get", "download", PACKAGE], cwd=name, check=True, capture_output=True)  # noqa: S607
            (package,) = Path(name).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", package, name], check=True, capture_output=True)  # noqa: S607
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"The photographs are in Debian's package {PACKAGE}, which could not be fetched: put its "
                f"usr/share/backgrounds/*.jpg into {FOLDER}."
            ) from error
        for photograph in PHOTOGRAPHS:
            [found] = Path(name).rglob(photograph.file)
            (FOLDER / photograph.file).write_bytes(found.read_bytes())
