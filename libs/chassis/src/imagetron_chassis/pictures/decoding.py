"""Foreign files to RGB pixels with Pillow: the header is judged before a pixel is decoded. Runs in a child process only.

Needs Pillow and the standard library alone, so that a child starts quickly and stays small.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

FORMATS: Final = (
    PngImagePlugin.PngImageFile.format,
    JpegImagePlugin.JpegImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
)
# The largest in use, for presses, have two to three megabytes.
_MOST_PROFILE_BYTES: Final = 4 << 20
_SPACES: Final = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_DEEP: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
_STRIP_BYTES: Final = 1 << 20
# What Pillow raises on broken files, as its own fuzzers keep finding.
_BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,
)
# Pixels, which take at least one bit in a Huffman-coded JPEG, mostly many more.
_JPEG_BLOCK: Final = 64
_ORIENTATION: Final = 0x0112
# By the value of the EXIF tag; 1 is upright.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unreadable(Exception):
    """The sentence says what is wrong with the bytes."""


class TooLarge(Exception):
    """The sentence says what there is too much of."""


def prepare() -> None:
    """Warnings become errors. Of a JPEG file only the first picture counts.

    Cameras put previews and gain maps behind it, and Pillow would take such a file for one of another format with many frames.
    """
    warnings.simplefilter("error")
    # Pillow warns at its limit and raises at twice that; ours is where it raises.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    Image.register_open("JPEG", JpegImagePlugin.JpegImageFile, lambda prefix: prefix.startswith(b"\xff\xd8\xff"))


def decoded(data: bytes, max_side: int, max_pixels: int) -> Image.Image:
    """8-bit RGB in sRGB, upright, on white where it was transparent."""
    # Checked while a file is opened: what decodes WebP would take memory for the whole picture at once. Pillow knows one limit
    # for the whole process, and asks it of cut-outs of the next picture, too: it is put back.
    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, (max_pixels + 1) // 2
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, len(data), max_side, max_pixels)
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            pixels = _rgb(image)
    except Image.DecompressionBombError as error:
        raise TooLarge(f"the picture has more than {max_pixels} pixels") from error
    except _BROKEN as error:
        raise Unreadable(f"the picture cannot be decoded ({type(error).__name__})") from error
    finally:
        Image.MAX_IMAGE_PIXELS = usual
    return pixels if turn is None else pixels.transpose(turn)


def resized(pixels: bytes, size: tuple[int, int], to: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, pixels).resize(to, Image.Resampling.LANCZOS)


def strips(image: Image.Image) -> Iterator[bytes]:
    """The pixels in pieces of about a megabyte: as a whole they would be a second copy of the picture."""
    rows = max(1, _STRIP_BYTES // (3 * image.width))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(image.height, top + rows))).tobytes()


def check_size(width: int, height: int, max_side: int, max_pixels: int) -> None:
    """Raises TooLarge."""
    if max(width, height) > max_side:
        raise TooLarge(f"the picture is {width}x{height} and may have {max_side} pixels a side")
    if width * height > max_pixels:
        raise TooLarge(f"the picture is {width}x{height} and may have {max_pixels} pixels")


def _check(image: Image.Image, length: int, max_side: int, max_pixels: int) -> None:
    """What the header tells, before a pixel is decoded."""
    width, height = image.size
    check_size(width, height, max_side, max_pixels)
    if image.format == "JPEG" and width * height // _JPEG_BLOCK > length * 8:
        # Pillow would fill up with grey what is missing, and say nothing.
        raise Unreadable(f"the picture is {width}x{height}, and its file too short for that")
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise Unreadable(f"the picture has {frames} frames and should have one")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        # The pixels are good without it.
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    plain = _plain(image)
    return _in_srgb(plain, profile) or (plain if plain.mode == "RGB" else plain.convert("RGB"))


def _plain(image: Image.Image) -> Image.Image:
    """Eight bits and no transparency, in one of the modes that a colour profile can speak of."""
    if image.mode in _DEEP:
        # Pillow would cut off everything above 255.
        return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(clear, mask=clear)
        return paper
    return image if image.mode in _SPACES else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: object) -> Image.Image | None:
    """None where there is no profile, or none that makes sense for this picture."""
    if not isinstance(profile, bytes) or len(profile) > _MOST_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # A picture in sRGB keeps its pixels: a transform would round them.
        is_srgb = (source.profile.profile_description or "").startswith("sRGB")
        if is_srgb or source.profile.xcolor_space.strip() != _SPACES[image.mode]:
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        return None
