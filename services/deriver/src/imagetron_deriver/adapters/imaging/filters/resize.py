"""The wanted part of a picture, brought to its size."""

from PIL import Image

from imagetron_deriver.adapters.imaging.filters.view import View
from imagetron_deriver.adapters.orders import OrderedPicture


def apply(view: View, wanted: OrderedPicture) -> View:
    left, top, right, bottom = view.box
    part = (right - left, bottom - top)
    if part == view.picture.size == wanted.size:
        return view
    if part == wanted.size:
        picture = view.picture.crop(view.box)
    else:
        # By its box, without a copy of the part first.
        picture = view.picture.resize(wanted.size, _kernel(part, wanted.size), box=view.box)
    return View(picture, (0, 0, *wanted.size))


def _kernel(part: tuple[int, int], size: tuple[int, int]) -> Image.Resampling:
    """Lanczos keeps what is fine when there are fewer pixels; for more pixels it only adds halos, at half the time more."""
    return Image.Resampling.BICUBIC if size >= part else Image.Resampling.LANCZOS
