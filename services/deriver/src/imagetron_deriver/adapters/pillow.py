"""Cuts and encodes with Pillow: checks a render before it is decoded, decodes it once. Runs in a child process only.

Needs Pillow and the standard library alone, so that a child starts quickly and stays small.
"""

import hashlib
import io
import json
import struct
import warnings
import zlib
from typing import Final

from PIL import Image, PngImagePlugin, features

from imagetron_deriver.adapters.orders import Order, OrderedPicture

# 40 megapixels. Its other limit, 8192 a side, is that of every size on the wire, and a render has the size promised.
MAX_PIXELS: Final = 40_000_000
# PPM is what generators write; the others are what providers deliver. Pillow keeps meeting bombs in odd formats.
FORMATS: Final = ("PPM", "PNG", "JPEG", "WEBP")
# What Pillow raises on broken files, as its own fuzzers keep finding.
_BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,
)

# Says that a picture was made by a model (IPTC's word for it), in every file that leaves.
MARK: Final = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)
_ENCODERS: Final = {"WEBP": "webp", "JPEG": "jpg", "PNG": "zlib", "AVIF": "avif"}


class Unreadable(Exception):
    """The sentence says what is wrong with the bytes."""


def prepare() -> None:
    """Warnings become errors, and Pillow's limit on pixels, which it checks before decoding, becomes ours."""
    warnings.simplefilter("error")
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def cut(render: bytes, order: Order) -> list[tuple[bytes, str]]:
    """Each picture's file and digest. Raises Unreadable; MemoryError where the process may not have more."""
    pixels = _decode(render, order.render)
    return [_picture(pixels, wanted) for wanted in order.pictures]


def _decode(render: bytes, size: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(io.BytesIO(render), formats=FORMATS) as image:
            _check(image, size)
            image.load()
            # A copy of the pixels alone: text, profiles and previews stay behind.
            pixels = image.copy()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unreadable(f"the render has more than {MAX_PIXELS} pixels") from error
    except _BROKEN as error:
        raise Unreadable(f"the render cannot be decoded ({type(error).__name__})") from error
    pixels.info = {}
    return pixels


def _check(image: Image.Image, size: tuple[int, int]) -> None:
    """What the header tells, before a pixel is decoded."""
    if image.size != size:
        raise Unreadable(f"the render is {image.width}x{image.height} and should be {size[0]}x{size[1]}")
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise Unreadable(f"the render has {frames} frames and should have one")
    if image.mode != "RGB":
        raise Unreadable(f"the render is {image.format} in mode {image.mode} and should be 8-bit RGB")


def _picture(pixels: Image.Image, wanted: OrderedPicture) -> tuple[bytes, str]:
    picture = pixels.resize(wanted.size, Image.Resampling.LANCZOS, box=wanted.box)
    out = io.BytesIO()
    if wanted.format == "PNG":
        marks = PngImagePlugin.PngInfo()
        marks.add_itxt("XML:com.adobe.xmp", MARK)
        picture.save(out, "PNG", pnginfo=marks, **wanted.parameters)
    else:
        picture.save(out, wanted.format, xmp=MARK.encode(), **wanted.parameters)
    return out.getvalue(), _digest(picture, wanted)


def _digest(picture: Image.Image, wanted: OrderedPicture) -> str:
    """Of the pixels and of all that decides their encoding, the encoder's version included.

    An immutable public key must never stand for two different files.
    """
    way = {
        "format": wanted.format,
        "parameters": wanted.parameters,
        "size": wanted.size,
        "mark": MARK,
        "encoder": features.version(_ENCODERS[wanted.format]),
    }
    digest = hashlib.sha256(json.dumps(way, sort_keys=True).encode())
    digest.update(picture.tobytes())
    return digest.hexdigest()
