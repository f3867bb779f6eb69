"""Picture files for the reader's tests: good ones of every kind, and those that want to do harm."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from PIL import Image, PngImagePlugin

SIZE = (60, 40)
SCRIPT = b"<html><script>alert(1)</script></html>"
Colour = tuple[int, int, int]


def a_picture(size: tuple[int, int] = SIZE) -> Image.Image:
    """A gradient without any symmetry."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (across, down, across.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))


def encoded(image: Image.Image, form: str = "PNG", **parameters: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **parameters)
    return out.getvalue()


def a_plain(mode: str, colour: object, form: str = "PNG", **parameters: object) -> bytes:
    return encoded(Image.new(mode, (8, 4), colour), form, **parameters)  # type: ignore[arg-type]


def a_palette(entry: int, **parameters: object) -> bytes:
    """All of one entry; the n-th is (30n, 30n + 10, 30n + 20)."""
    image = Image.new("P", (8, 4), entry)
    image.putpalette([10 * number for number in range(24)])
    return encoded(image, "PNG", **parameters)


def a_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def a_png(width: int, height: int, *chunks: bytes, rows: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """By hand, so that it may lie. `rows` as they are in the file: compressed, each with its filter byte."""
    header = a_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *chunks, a_chunk(b"IDAT", rows), a_chunk(b"IEND", b"")))


def a_deep_png(colour: int, *samples: int, chunks: tuple[bytes, ...] = ()) -> bytes:
    """One pixel with 16 bits a sample."""
    rows = zlib.compress(b"\0" + struct.pack(f">{len(samples)}H", *samples))
    return a_png(1, 1, *chunks, rows=rows, depth=16, colour=colour)


def a_profile(space: bytes, *, name: str = "A profile for tests", gamma: float = 2.2, swapped: bool = False) -> bytes:
    """An ICC profile, version 2.4: RGB with the primaries of sRGB (red and blue changed over if asked), or grey."""
    primaries = [(0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139)]
    white = (0.9642, 1.0, 0.8249)
    curve = b"curv" + struct.pack(">IIH2x", 0, 1, round(gamma * 256))
    text = name.encode() + b"\0"
    tags = {b"desc": b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(78), b"wtpt": _xyz(white)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        ordered = primaries[::-1] if swapped else primaries
        tags |= {letter + b"XYZ": _xyz(values) for letter, values in zip((b"r", b"g", b"b"), ordered, strict=True)}
        tags |= {letter + b"TRC": curve for letter in (b"r", b"g", b"b")}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x12s48x", start + len(body), 0x02400000, b"mntr", space, b"XYZ ", b"acsp", _xyz(white)[8:]
    )
    return header + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def zeros(count: int) -> bytes:
    """Compressed a thousandfold, made without holding them."""
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join((*pieces, packer.compress(bytes(count % (1 << 20))), packer.flush()))


def _frames(form: str, count: int = 3, **parameters: object) -> bytes:
    frames = [Image.new("RGB", SIZE, (80 * number % 256, 0, 0)) for number in range(count)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], **parameters)


def _a_long_animation(count: int) -> bytes:
    """An APNG that announces a hundred thousand frames."""
    return a_png(*SIZE, a_chunk(b"acTL", struct.pack(">II", count, 0)), rows=zlib.compress(bytes(40 * 181)))


def _truncated(form: str) -> bytes:
    data = encoded(a_picture(), form)
    return data[: len(data) * 3 // 4]


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.html", SCRIPT)
    return out.getvalue()


def _a_lossless_webp(width: int, height: int) -> bytes:
    sizes = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8L" + struct.pack("<I", 18) + b"\x2f" + sizes + bytes(13)


def _a_wide_webp(width: int, height: int) -> bytes:
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes


def _a_jpeg_that_claims(width: int, height: int) -> bytes:
    """More pixels than its data has."""
    data = encoded(a_picture(), "JPEG")
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


TOO_LARGE: Mapping[str, Callable[[], bytes]] = {
    "a PNG of 65535 by 65535": lambda: a_png(65535, 65535),
    "a PNG of one by a billion": lambda: a_png(1, 1_000_000_000),
    "a PNG of the largest numbers": lambda: a_png(2**31 - 1, 2**31 - 1),
    "a PNG of a hundred kilobytes and 81 megapixels": lambda: a_png(9000, 9000, rows=zeros(9000 * 27001)),
    "a PNG of 48 megapixels": lambda: a_png(8000, 6000),
    "a PNG of one pixel too many a side": lambda: a_png(8193, 1),
    "a JPEG of 65535 by 65535": lambda: _a_jpeg_that_claims(65535, 65535),
    "a JPEG of 8192 by 8192": lambda: _a_jpeg_that_claims(8192, 8192),
    "a WebP of the largest size there is": lambda: _a_lossless_webp(16384, 16384),
    "a WebP canvas of the largest size there is": lambda: _a_wide_webp(1 << 14, 1 << 14),
}
UNREADABLE: Mapping[str, Callable[[], bytes]] = {
    "a PNG of 40 megapixels without a pixel": lambda: a_png(8000, 5000),
    "a PNG of no width": lambda: a_png(0, 100),
    "a PNG whose compressed text is a bomb": lambda: a_png(*SIZE, a_chunk(b"zTXt", b"a\0\0" + zeros(200 << 20))),
    "a PNG whose international text is a bomb": lambda: a_png(
        *SIZE, a_chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(200 << 20))
    ),
    "a PNG with a hundred texts that are bombs": lambda: a_png(
        *SIZE, *[a_chunk(b"zTXt", b"a\0\0" + zeros((1 << 20) - 1))] * 100
    ),
    "a PNG whose colour profile is a bomb": lambda: a_png(*SIZE, a_chunk(b"iCCP", b"a\0\0" + zeros(200 << 20))),
    "a PNG without pixels": lambda: a_png(*SIZE),
    "a PNG that ends after its header": lambda: encoded(a_picture())[:33],
    "a PNG with a broken checksum": lambda: encoded(a_picture()).replace(b"IDAT", b"IDAT\xff", 1),
    "a PNG of an unheard-of depth": lambda: a_png(*SIZE, depth=7),
    "a truncated PNG": lambda: _truncated("PNG"),
    "a truncated WebP": lambda: _truncated("WEBP"),
    "a truncated JPEG": lambda: _truncated("JPEG"),
    "a JPEG that claims more than it holds": lambda: _a_jpeg_that_claims(4000, 4000),
    "a JPEG without a picture": lambda: b"\xff\xd8\xff\xd9" + bytes(100),
    "an animated PNG": lambda: _frames("PNG"),
    "an animated PNG of a hundred thousand frames": lambda: _a_long_animation(100_000),
    "an animated WebP": lambda: _frames("WEBP"),
    "an animated WebP of a thousand frames": lambda: _frames("WEBP", 1000, minimize_size=False),
    "a GIF": lambda: _frames("GIF", 1),
    "an animated GIF": lambda: _frames("GIF"),
    "a TIFF": lambda: encoded(a_picture(), "TIFF"),
    "a BMP": lambda: encoded(a_picture(), "BMP"),
    "a PPM": lambda: encoded(a_picture(), "PPM"),
    "an EPS": lambda: encoded(a_picture(), "EPS"),
    "an AVIF": lambda: encoded(a_picture(), "AVIF"),
    "a JPEG 2000": lambda: encoded(a_picture(), "JPEG2000"),
    "a PDF": lambda: encoded(a_picture(), "PDF"),
    "an icon": lambda: encoded(a_picture(), "ICO"),
    "a FITS file": lambda: b"SIMPLE  =                    T".ljust(2880),
    "a Photoshop file": lambda: b"8BPS\0\1".ljust(4096, b"\0"),
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="336" height="192"/>',
    "a web page": lambda: SCRIPT,
    "a web page that begins as a PNG": lambda: b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + SCRIPT * 40,
    "a web page that begins as a JPEG": lambda: b"\xff\xd8\xff\xe0" + SCRIPT * 40,
    "a web page that begins as a WebP": lambda: b"RIFF\xff\xff\0\0WEBPVP8 " + SCRIPT * 40,
    "a zip archive": _zip,
    "random bytes behind the signature of a JPEG": lambda: b"\xff\xd8\xff" + bytes(range(256)) * 40,
    "random bytes": lambda: bytes((7 * number * number + 3) % 251 for number in range(5000)),
    "nothing": lambda: b"",
}


def with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "SECRET prompt", zip=True)
    return encoded(a_picture(), pnginfo=text)
