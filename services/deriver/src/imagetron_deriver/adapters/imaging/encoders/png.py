"""PNG by zlib: every pixel as it is."""

import io
from typing import Final

from PIL import Image, PngImagePlugin

from imagetron_deriver.adapters.imaging.encoders.encoder import Parameters

# Measured on photographs: level 2 takes a quarter of the time for 14 % more bytes; level 9 five times as long for 4 % less.
_PARAMETERS: Final[dict[str, Parameters]] = {
    "quality": {"compress_level": 6},
    "fast": {"compress_level": 2},
}


def parameters(profile: str) -> Parameters:
    return _PARAMETERS[profile]


def encode(picture: Image.Image, packet: bytes, profile: str) -> bytes:
    out = io.BytesIO()
    texts = PngImagePlugin.PngInfo()
    # The keyword by which readers know XMP, and not compressed, as XMP's specification has it.
    texts.add_itxt("XML:com.adobe.xmp", packet.decode())
    picture.save(out, "PNG", pnginfo=texts, **parameters(profile))
    return out.getvalue()
