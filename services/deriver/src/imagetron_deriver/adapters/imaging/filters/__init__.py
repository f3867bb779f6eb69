"""What happens to pixels between a render and a file, one module each: to add one, write it and list it here."""

from collections.abc import Callable
from typing import Final

from imagetron_deriver.adapters.imaging.filters import pad, resize, watermark
from imagetron_deriver.adapters.imaging.filters.view import View
from imagetron_deriver.adapters.orders import OrderedPicture

Filter = Callable[[View, OrderedPicture], View]
"""Gives the view back as it is where there is nothing to do; never writes into the picture that it was given."""

# In the order of their turns.
FILTERS: Final[tuple[Filter, ...]] = (pad.apply, resize.apply, watermark.apply)
