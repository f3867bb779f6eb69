"""Small files of every format, marked as an encoder marks them; containers built by hand where no encoder makes them."""

import io
import struct
import zlib

from PIL import Image, PngImagePlugin

from imagetron_chassis.marks.packets import DIGITAL_SOURCE_TYPE
from imagetron_contracts.media import ImageFormat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"


def a_packet(inside: str, *, before: str = "", attributes: str = "") -> bytes:
    """An XMP packet with this in its description."""
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{before}'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{IPTC}" {attributes}>{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def said(source: str = DIGITAL_SOURCE_TYPE) -> bytes:
    """A packet that says so as an attribute."""
    return a_packet("", attributes=f'Iptc4xmpExt:DigitalSourceType="{source}"')


def a_file(form: ImageFormat, packet: bytes | None = None) -> bytes:
    """As the encoder writes it. Without a packet: unmarked."""
    picture = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    out = io.BytesIO()
    if form is ImageFormat.PNG:
        text = PngImagePlugin.PngInfo()
        if packet is not None:
            text.add_itxt("XML:com.adobe.xmp", packet.decode())
        picture.save(out, "PNG", pnginfo=text)
    elif packet is None:
        picture.save(out, form.value)
    else:
        picture.save(out, form.value, xmp=packet)
    return out.getvalue()


def chunk(name: bytes, data: bytes, *, checksum: int | None = None) -> bytes:
    """Of a PNG."""
    right = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", right if checksum is None else checksum)


def with_chunk(png: bytes, extra: bytes) -> bytes:
    """Behind the header, where readers expect text."""
    return png[:33] + extra + png[33:]


def box(name: bytes, data: bytes) -> bytes:
    """Of an AVIF."""
    return struct.pack(">I", 8 + len(data)) + name + data


def an_entry(
    number: int = 1, *, what: bytes = b"mimeXMP\0application/rdf+xml\0", version: int = 2, lock: int = 0
) -> bytes:
    wide = ">H" if version == 2 else ">I"
    return box(b"infe", bytes([version, 0, 0, 0]) + struct.pack(wide, number) + struct.pack(">H", lock) + what)


def an_avif(
    packet: bytes,
    *,
    entries: bytes | None = None,
    version: int = 0,
    method: int = 0,
    reference: int = 0,
    pieces: int = 1,
    sizes: int = 0x4400,
    more: bytes = b"",
    mdat: bytes | None = None,
) -> bytes:
    """A container whose one item is the packet, and no picture: `version` is that of the table of locations."""
    ftyp = box(b"ftyp", b"avif\0\0\0\0avifmif1")
    iinf = box(b"iinf", bytes(4) + b"\0\1" + (an_entry() if entries is None else entries))
    wide = ">I" if version == 2 else ">H"

    def located(at: int) -> bytes:
        item = struct.pack(wide, 1) + (struct.pack(">H", method) if version else b"") + struct.pack(">H", reference)
        where = struct.pack(">HII", pieces, at, len(packet)) if sizes == 0x4400 else b""
        table = bytes([version, 0, 0, 0]) + struct.pack(">H", sizes) + struct.pack(wide, 1) + item + where
        return box(b"meta", bytes(4) + box(b"iloc", table) + iinf + more)

    begins = len(ftyp) + len(located(0)) + 8
    return ftyp + located(begins) + (mdat if mdat is not None else box(b"mdat", packet))
