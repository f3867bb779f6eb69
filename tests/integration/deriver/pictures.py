"""Pictures for the deriver's tests: a good render, and files that want to do harm."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image, PngImagePlugin

SIZE = (336, 192)
SCRIPT = b"<html><script>alert(1)</script></html>"


def a_picture(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """A gradient: every window of it looks different."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (across, down, across.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).convert(mode)


def encoded(image: Image.Image, form: str, **parameters: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **parameters)
    return out.getvalue()


def a_render(size: tuple[int, int] = SIZE) -> bytes:
    """As a generator writes it."""
    return encoded(a_picture(size), "PPM")


def a_render_with_secrets() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "SECRET prompt", zip=True)
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    return encoded(a_picture(), "PNG", pnginfo=text, exif=exif, icc_profile=b"SECRET profile")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *chunks: bytes, rows: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *chunks, _chunk(b"IDAT", rows), _chunk(b"IEND", b"")))


def _zeros(count: int) -> bytes:
    """Compressed a thousandfold, made without holding them."""
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join((*pieces, packer.compress(bytes(count % (1 << 20))), packer.flush()))


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.html", SCRIPT)
    return out.getvalue()


def _frames(form: str, count: int = 3, **parameters: object) -> bytes:
    frames = [Image.new("RGB", SIZE, (80 * number, 0, 0)) for number in range(count)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], **parameters)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a PNG of a hundred kilobytes and 81 megapixels": lambda: _png(9000, 9000, rows=_zeros(9000 * 27001)),
    "a PNG of 40 megapixels that says it is small": lambda: _png(8000, 5000, rows=_zeros(5000 * 24001)),
    "a PNG of one by a billion": lambda: _png(1, 1_000_000_000),
    "a PNG whose compressed text is a bomb": lambda: _png(*SIZE, _chunk(b"zTXt", b"a\0\0" + _zeros(200 << 20))),
    "a PNG whose colour profile is a bomb": lambda: _png(*SIZE, _chunk(b"iCCP", b"a\0\0" + _zeros(200 << 20))),
    "a PNG without pixels": lambda: _png(*SIZE),
    "a PNG with a broken checksum": lambda: encoded(a_picture(), "PNG").replace(b"IDAT", b"IDAT\xff", 1),
    "a truncated PNG": lambda: encoded(a_picture(), "PNG")[:-400],
    "a truncated WebP": lambda: encoded(a_picture(), "WEBP")[:-400],
    "a truncated JPEG": lambda: encoded(a_picture(), "JPEG")[:-400],
    "a truncated PPM": lambda: a_render()[:-1],
    "an animated PNG": lambda: _frames("PNG"),
    "an animated WebP": lambda: _frames("WEBP"),
    "a GIF": lambda: _frames("GIF"),
    "a 16-bit PNG": lambda: encoded(a_picture(mode="I;16"), "PNG"),
    "a palette PNG": lambda: encoded(a_picture(mode="P"), "PNG"),
    "a transparent PNG": lambda: encoded(a_picture(mode="RGBA"), "PNG"),
    "a CMYK JPEG": lambda: encoded(a_picture(mode="CMYK"), "JPEG"),
    "a TIFF": lambda: encoded(a_picture(), "TIFF"),
    "a BMP": lambda: encoded(a_picture(), "BMP"),
    "an EPS": lambda: encoded(a_picture(), "EPS"),
    "a FITS file": lambda: b"SIMPLE  =                    T".ljust(2880),
    "a Photoshop file": lambda: b"8BPS\0\1".ljust(4096, b"\0"),
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="336" height="192"/>',
    "a web page that begins as a WebP": lambda: b"RIFF\xff\xff\0\0WEBPVP8 " + SCRIPT * 40,
    "a web page that begins as a PPM": lambda: b"P6\n336 192\n255\n" + SCRIPT,
    "a zip archive": _zip,
    "a WebP header of the largest size there is": lambda: (
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8L" + struct.pack("<I", 18) + b"\x2f\xff\xff\xff\x0f" + bytes(13)
    ),
    "a PPM of the largest numbers": lambda: b"P6\n99999999 99999999\n255\n" + bytes(100),
    "a render of another size": lambda: a_render((192, 336)),
    "nothing": lambda: b"",
}
