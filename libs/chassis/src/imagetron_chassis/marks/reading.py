"""Whether a finished file says that a model made it. Its container is walked to the XMP packet; no pixel is decoded.

For bytes that nobody vouches for: the walk goes forward only, every size is checked against what is there, packets and
pieces are bounded. A packet with a document type is no packet, so it has no entities that could grow. Searching the
bytes for the word would be shorter, and would believe a comment, a thumbnail or an ingredient.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final
from xml.parsers import expat

from imagetron_chassis.marks.packets import DIGITAL_SOURCE_TYPE
from imagetron_contracts.media import ImageFormat

# Four times what one JPEG segment holds.
MAX_PACKET_BYTES: Final = 1 << 18
# Chunks, segments, boxes or items in one file. A PNG of the largest size, in libpng's pieces of 8 KiB, has 25,000.
MAX_PIECES: Final = 50_000

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RESOURCE: Final = f"{_RDF} resource"
_PROPERTY: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ DigitalSourceType"
# What is said there is said of the picture; deeper down it is said of something that the picture was made of.
_STATEMENT: Final = [f"{_RDF} RDF", f"{_RDF} Description"]

_WEBP_HAS_XMP: Final = 0x04
_JPEG_APP1: Final = 0xE1
_JPEG_START_OF_SCAN: Final = 0xDA
_JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP: Final = b"XML:com.adobe.xmp\0"
# An item's name, its type, and no encoding.
_BMFF_XMP: Final = re.compile(rb"[^\0]*\0application/rdf\+xml\0\0?")
_BMFF_FIELD_BYTES: Final = {0, 4, 8}


def is_marked(data: bytes, form: ImageFormat) -> bool:
    """Whether the file's XMP packet says `DigitalSourceType = trainedAlgorithmicMedia`. Never raises.

    False for a file that is cut short or not of this format, and for one with two packets: readers would disagree.
    """
    try:
        packets = list(islice(_PACKETS[form](_Cursor(data)), 2))
    except _Broken:
        return False
    return len(packets) == 1 and _says_so(packets[0])


class _Broken(Exception):
    """The file is not what it should be, or has more in it than anybody needs."""


class _Cursor:
    """Reads a part of the file forward, and never beyond its end."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        return self.end - self.at

    def part(self, size: int) -> "_Cursor":
        """The next bytes as a cursor of their own; this one goes on behind them."""
        if not 0 <= size <= self.left:
            raise _Broken
        self.at += size
        return _Cursor(self.data, self.at - size, self.at)

    def take(self, size: int) -> bytes:
        part = self.part(size)
        return self.data[part.at : part.end]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def little(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def begins(self, wanted: bytes) -> bool:
        """Whether these bytes come next. If so, the cursor is behind them."""
        found = self.data.startswith(wanted, self.at, self.end)
        self.at += len(wanted) if found else 0
        return found

    def expect(self, wanted: bytes) -> None:
        if not self.begins(wanted):
            raise _Broken

    def packet(self) -> bytes:
        """All that is left."""
        if self.left > MAX_PACKET_BYTES:
            raise _Broken
        return self.take(self.left)


def _in_webp(file: _Cursor) -> Iterator[bytes]:
    """The `XMP ` chunk, where the header announces one: readers may go by the header."""
    file.expect(b"RIFF")
    riff = file.part(file.little(4))
    riff.expect(b"WEBP")
    is_announced = False
    for number in range(MAX_PIECES):
        if not riff.left:
            return
        name, size = riff.take(4), riff.little(4)
        chunk = riff.part(size)
        riff.part(size % 2)
        if number == 0 and name == b"VP8X":
            is_announced = bool(chunk.number(1) & _WEBP_HAS_XMP)
        if name == b"XMP " and is_announced:
            yield chunk.packet()
    raise _Broken


def _in_jpeg(file: _Cursor) -> Iterator[bytes]:
    """The APP1 segment that begins as XMP does. Once the scan has begun, there is none."""
    if not file.data.endswith(b"\xff\xd9"):
        raise _Broken
    file.expect(b"\xff\xd8")
    for _ in range(MAX_PIECES):
        file.expect(b"\xff")
        kind = file.number(1)
        segment = file.part(file.number(2) - 2)
        if kind == _JPEG_START_OF_SCAN:
            return
        if kind == _JPEG_APP1 and segment.begins(_JPEG_XMP):
            yield segment.packet()
    raise _Broken


def _in_png(file: _Cursor) -> Iterator[bytes]:
    """The `iTXt` chunk under XMP's keyword. Readers drop one whose checksum is wrong, and so does this."""
    file.expect(b"\x89PNG\r\n\x1a\n")
    for _ in range(MAX_PIECES):
        size, name = file.number(4), file.take(4)
        chunk, checksum = file.part(size), file.number(4)
        if name == b"IEND":
            return
        if name == b"iTXt" and zlib.crc32(chunk.data[chunk.at - 4 : chunk.end]) == checksum and chunk.begins(_PNG_XMP):
            yield _international_text(chunk)
    raise _Broken


def _international_text(chunk: _Cursor) -> bytes:
    is_compressed, _ = chunk.number(1), chunk.number(1)
    # Between the two: a language, and the keyword in that language.
    _, *behind = chunk.packet().split(b"\0", 2)
    text = behind[-1] if len(behind) == 2 else b""  # noqa: PLR2004 - both of them
    return _inflated(text) if is_compressed else text


def _inflated(text: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        packet = inflating.decompress(text, MAX_PACKET_BYTES)
    except zlib.error as error:
        raise _Broken from error
    if not inflating.eof:
        raise _Broken
    return packet


def _in_avif(file: _Cursor) -> Iterator[bytes]:
    """The items of XMP's type that lie in the file itself, in one piece, as libavif writes them."""
    boxes = list(_boxes(file))
    if not boxes or boxes[0][0] != b"ftyp":
        raise _Broken
    meta = _only(b"meta", boxes)
    meta.part(4)
    tables = list(_boxes(meta))
    wanted = _xmp_items(_only(b"iinf", tables))
    for item, start, size in _locations(_only(b"iloc", tables)):
        if item in wanted:
            yield _Cursor(file.data, min(start, len(file.data))).part(size).packet()


def _boxes(cursor: _Cursor) -> Iterator[tuple[bytes, _Cursor]]:
    for _ in range(MAX_PIECES):
        if not cursor.left:
            return
        start = cursor.at
        size, name = cursor.number(4), cursor.take(4)
        if size == 1:
            size = cursor.number(8)
        elif size == 0:
            size = cursor.end - start
        yield name, cursor.part(size - (cursor.at - start))
    raise _Broken


def _only(name: bytes, boxes: list[tuple[bytes, _Cursor]]) -> _Cursor:
    found = [body for other, body in boxes if other == name]
    if len(found) != 1:
        raise _Broken
    return found[0]


def _xmp_items(iinf: _Cursor) -> set[int]:
    """The numbers of the items that are XMP packets, plain and unprotected."""
    version, _ = iinf.number(1), iinf.part(3)
    iinf.part(4 if version else 2)
    items = set()
    for name, entry in _boxes(iinf):
        version, _ = entry.number(1), entry.part(3)
        if name != b"infe" or version not in (2, 3):
            continue
        number, protection = entry.number(2 if version == 2 else 4), entry.number(2)  # noqa: PLR2004 - a version
        if not protection and entry.begins(b"mime") and _BMFF_XMP.fullmatch(entry.data, entry.at, entry.end):
            items.add(number)
    return items


def _locations(iloc: _Cursor) -> Iterator[tuple[int, int, int]]:
    """Number, place and length of every item that lies in the file, in one piece."""
    version, _ = iloc.number(1), iloc.part(3)
    sizes = iloc.number(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    if version == 0:
        index = 0
    wide = 4 if version == 2 else 2  # noqa: PLR2004 - a version
    count = iloc.number(wide)
    if version not in (0, 1, 2) or not {offset, length, base, index} <= _BMFF_FIELD_BYTES or count > MAX_PIECES:
        raise _Broken
    for _ in range(count):
        item = iloc.number(wide)
        method = iloc.number(2) & 15 if version else 0
        reference = iloc.number(2)
        start, pieces = iloc.number(base), iloc.number(2)
        extents = iloc.part(pieces * (index + offset + length))
        if pieces == 1 and not method and not reference:
            extents.part(index)
            yield item, start + extents.number(offset), extents.number(length)


def _says_so(packet: bytes) -> bool:
    """Whether everything that the packet says of the picture's source is that a model made it, and it says something."""
    # In these containers it is UTF-8, which has no zeros; expat would read UTF-16 too.
    if b"\0" in packet:
        return False
    path: list[str] = []
    said: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if path[-2:] == _STATEMENT and name == _PROPERTY:
            said.append(attributes.get(_RESOURCE, ""))
        path.append(name)
        if path[-2:] == _STATEMENT and _PROPERTY in attributes:
            said.append(attributes[_PROPERTY])

    def text(piece: str) -> None:
        if path[-3:] == [*_STATEMENT, _PROPERTY]:
            said[-1] += piece

    def refuse(*_: object) -> None:
        raise _Broken

    # Whatever encoding it declares.
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(packet, True)  # noqa: FBT003 - this is all of it
    except (expat.ExpatError, _Broken):
        return False
    return bool(said) and all(value.strip() == DIGITAL_SOURCE_TYPE for value in said)


_PACKETS: Final[Mapping[ImageFormat, Callable[[_Cursor], Iterator[bytes]]]] = MappingProxyType(
    {
        ImageFormat.WEBP: _in_webp,
        ImageFormat.JPEG: _in_jpeg,
        ImageFormat.PNG: _in_png,
        ImageFormat.AVIF: _in_avif,
    }
)
