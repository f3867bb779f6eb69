"""One picture from a render's pixels: filters, marks, encoder."""

from PIL import Image

from imagetron_chassis.marks.packets import packet
from imagetron_deriver.adapters.imaging.encoders import ENCODERS
from imagetron_deriver.adapters.imaging.filters import FILTERS
from imagetron_deriver.adapters.imaging.filters.view import View
from imagetron_deriver.adapters.orders import OrderedPicture


def prepare() -> None:
    """Loads all that pictures need, so that the first is as quick as the next, and nothing is loaded by a limited process."""
    for form in ENCODERS:
        watermark = {"text": "\N{COPYRIGHT SIGN}", "placement": "tiled"}
        for size in ((16, 16), (4, 4)):
            make(Image.new("RGB", (8, 8)), OrderedPicture((0, 0, 8, 8), size, form, "fast", watermark))


def make(pixels: Image.Image, wanted: OrderedPicture) -> bytes:
    """The file. The same pixels and order give the same bytes, in every process, with the same versions of the libraries.

    The render's pixels stay as they are, for the next picture of it. Raises MemoryError where there is not enough.
    """
    view = View(pixels, wanted.box)
    for apply in FILTERS:
        view = apply(view, wanted)
    picture = view.picture
    # Pillow hands texts and profiles on from picture to picture, and some of its encoders write them.
    picture.info = {}
    return ENCODERS[wanted.format].encode(picture, packet(wanted.prompt), wanted.profile)
