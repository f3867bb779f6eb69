"""The formats that pictures can be written in, one module each: to add one, write it and list it here.

No file carries a colour profile: pictures are sRGB, and on the web a picture without a profile is sRGB (CSS Color 4). AVIF
says so in the numbers that it always has (1/13/6, full range), PNG could, but readers do the same without.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from imagetron_deriver.adapters.imaging.encoders import avif, jpeg, png, webp
from imagetron_deriver.adapters.imaging.encoders.encoder import Encoder

ENCODERS: Final[Mapping[str, Encoder]] = MappingProxyType(
    {"webp": webp, "jpeg": jpeg, "png": png, "avif": avif},
)
