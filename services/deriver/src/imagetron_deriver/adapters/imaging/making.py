"""One picture from a render's pixels: filters, marks, encoder, digest."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

import PIL
from PIL import Image

from imagetron_deriver.adapters.imaging import marks
from imagetron_deriver.adapters.imaging.encoders import ENCODERS
from imagetron_deriver.adapters.imaging.filters import FILTERS
from imagetron_deriver.adapters.imaging.filters.view import View
from imagetron_deriver.adapters.orders import OrderedPicture

_STRIP_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class Made:
    """A file, and the digest that names it."""

    data: bytes
    digest: str


def prepare() -> None:
    """Loads all that pictures need, so that the first is as quick as the next, and nothing is loaded by a limited process."""
    for form in ENCODERS:
        watermark = {"text": "\N{COPYRIGHT SIGN}", "placement": "tiled"}
        make(Image.new("RGB", (8, 8)), OrderedPicture((0, 0, 8, 8), (16, 16), form, "fast", watermark))


def make(pixels: Image.Image, wanted: OrderedPicture) -> Made:
    """The file, and a digest of all that decides its bytes: equal digests are equal files, wherever they were made.

    The render's pixels stay as they are, for the next picture of it. Raises MemoryError where there is not enough.
    """
    view = View(pixels, wanted.box)
    for apply in FILTERS:
        view = apply(view, wanted)
    picture = view.picture
    # Pillow hands texts and profiles on from picture to picture, and some of its encoders write them.
    picture.info = {}
    packet = marks.packet(wanted.prompt)
    data = ENCODERS[wanted.format].encode(picture, packet, wanted.profile)
    return Made(data, _digest(picture, packet, wanted))


def _digest(picture: Image.Image, packet: bytes, wanted: OrderedPicture) -> str:
    """An immutable public key must never stand for two different files. The watermark is among the pixels."""
    encoder = ENCODERS[wanted.format]
    way = {
        "format": wanted.format,
        "parameters": encoder.parameters(wanted.profile),
        "size": wanted.size,
        "packet": packet.decode(),
        "encoder": encoder.version(),
        "pillow": PIL.__version__,
    }
    digest = hashlib.sha256(json.dumps(way, sort_keys=True).encode())
    # In strips that stay in the processor's cache: twice as quick as all at once, and no second picture in memory.
    for top in range(0, picture.height, _STRIP_ROWS):
        digest.update(picture.crop((0, top, picture.width, min(top + _STRIP_ROWS, picture.height))).tobytes())
    return digest.hexdigest()
