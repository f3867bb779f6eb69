"""A finished file is marked when any reader of metadata would find in it that a model made the picture."""

import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagetron_chassis.marks.packets import DIGITAL_SOURCE_TYPE
from imagetron_chassis.marks.packets import packet as our_packet
from imagetron_chassis.marks.reading import MAX_PACKET_BYTES, MAX_PIECES, is_marked
from imagetron_contracts.media import ImageFormat
from unit.chassis.marked_files import (
    RDF,
    a_file,
    a_packet,
    an_avif,
    an_entry,
    box,
    chunk,
    said,
    with_chunk,
)

WEBP, PNG, JPEG, AVIF = ImageFormat.WEBP, ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.AVIF
ELEMENT = f"<Iptc4xmpExt:DigitalSourceType>\n {DIGITAL_SOURCE_TYPE}\n</Iptc4xmpExt:DigitalSourceType>"
RESOURCE = f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{DIGITAL_SOURCE_TYPE}"/>'
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
MARKED = {form: a_file(form, said()) for form in ImageFormat}
PNG_XMP = b"XML:com.adobe.xmp\0"


@pytest.mark.parametrize("form", ImageFormat)
def test_a_file_that_an_encoder_marked_is_marked_and_one_that_it_did_not_is_not(form):
    assert is_marked(MARKED[form], form)
    assert not is_marked(a_file(form), form)


@pytest.mark.parametrize(
    "packet", [said(), a_packet(ELEMENT), a_packet(RESOURCE)], ids=["attribute", "text", "resource"]
)
@pytest.mark.parametrize("form", ImageFormat)
def test_a_packet_may_say_it_in_every_way_that_xmp_knows(form, packet):
    assert is_marked(a_file(form, packet), form)


@pytest.mark.parametrize("form", ImageFormat)
@pytest.mark.parametrize("other", ImageFormat)
def test_a_file_is_marked_in_its_own_format_only(form, other):
    assert is_marked(MARKED[form], other) == (form is other)


@pytest.mark.parametrize("form", ImageFormat)
def test_the_packet_for_files_of_our_own_is_a_mark(form):
    assert is_marked(a_file(form, our_packet()), form)


# Each of them has the word in it, or something like it.
SAYS_SOMETHING_ELSE = {
    "a camera made it": said(CAMERA),
    "a composite": said(DIGITAL_SOURCE_TYPE.replace("trained", "compositeWithTrained")),
    "the bare word": said("trainedAlgorithmicMedia"),
    "nothing": said(""),
    "two things": a_packet(RESOURCE + f"<Iptc4xmpExt:DigitalSourceType>{CAMERA}</Iptc4xmpExt:DigitalSourceType>"),
    "in a comment": a_packet(f"<!-- {RESOURCE} -->"),
    "in another property": a_packet("", attributes=f'Iptc4xmpExt:Event="{DIGITAL_SOURCE_TYPE}"'),
    "in another namespace": a_packet("", attributes=f'xmlns:o="other/" o:DigitalSourceType="{DIGITAL_SOURCE_TYPE}"'),
    "of an ingredient": a_packet(
        f"<Iptc4xmpExt:Contains><rdf:Description>{ELEMENT}</rdf:Description></Iptc4xmpExt:Contains>"
    ),
    "outside of any description": a_packet("").replace(b"</rdf:RDF>", RESOURCE.encode() + b"</rdf:RDF>"),
    "no packet": b"DigitalSourceType " + DIGITAL_SOURCE_TYPE.encode(),
    "an empty packet": b" ",
    "a packet that is cut short": said()[:-60],
    "in UTF-16": said().decode().encode("utf-16"),
    "in UTF-16 without saying so": said().decode().encode("utf-16-be"),
}


@pytest.mark.parametrize("packet", SAYS_SOMETHING_ELSE.values(), ids=SAYS_SOMETHING_ELSE)
@pytest.mark.parametrize("form", [WEBP, JPEG, AVIF])
def test_a_packet_that_says_something_else_is_no_mark(form, packet):
    assert not is_marked(a_file(form, packet), form)


LAUGHS = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{step + 1} "{f"&a{step};" * 10}">' for step in range(12))


@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE x>",
        f'<!DOCTYPE x [<!ENTITY made "{DIGITAL_SOURCE_TYPE}">]>',
        '<!DOCTYPE x [<!ENTITY made SYSTEM "file:///etc/hostname">]>',
        f"<!DOCTYPE x [{LAUGHS}]>",
    ],
    ids=["type", "entity", "file", "billion laughs"],
)
def test_a_packet_with_a_document_type_is_refused_before_anything_in_it_is_looked_up(declared):
    inside = "&a12;" if "a12" in declared else ""
    packet = a_packet(f"{RESOURCE}{inside}", before=declared)

    assert is_marked(a_file(JPEG, a_packet(RESOURCE)), JPEG)
    assert not is_marked(a_file(JPEG, packet), JPEG)


def test_a_file_with_two_packets_is_not_marked_for_readers_take_one_or_the_other():
    segment = b"http://ns.adobe.com/xap/1.0/\0" + said(CAMERA)
    jpeg = MARKED[JPEG][:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + MARKED[JPEG][2:]
    png = with_chunk(MARKED[PNG], chunk(b"iTXt", PNG_XMP + b"\0\0\0\0" + said(CAMERA)))

    assert not is_marked(jpeg, JPEG)
    assert not is_marked(png, PNG)


@pytest.mark.parametrize("form", ImageFormat)
def test_a_file_that_is_cut_short_anywhere_is_not_marked(form):
    whole = MARKED[form]

    assert [length for length in range(len(whole)) if is_marked(whole[:length], form)] == []


@pytest.mark.parametrize("form", ImageFormat)
@given(data=st.binary(max_size=400))
@example(data=b"")
def test_any_bytes_get_an_answer(form, data):
    beginning = MARKED[form][:40]

    assert not is_marked(data, form)
    assert is_marked(beginning + data, form) in {True, False}


@pytest.mark.parametrize("form", ImageFormat)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 2000), st.sampled_from([b"\0", b"\xff", b"\1", b"\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff"])
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_file_that_was_damaged_gets_an_answer(form, changes):
    data = bytearray(MARKED[form])
    for place, value in changes:
        start = place % len(data)
        data[start : start + len(value)] = value

    assert is_marked(bytes(data), form) in {True, False}


@given(packet=st.text(max_size=300).map(str.encode) | st.binary(max_size=300))
def test_any_packet_gets_an_answer(packet):
    assert not is_marked(an_avif(packet), AVIF)


def compressed(packet: bytes) -> bytes:
    return chunk(b"iTXt", PNG_XMP + b"\1\0\0\0" + zlib.compress(packet))


def test_a_compressed_packet_of_a_png_is_read():
    assert is_marked(with_chunk(a_file(PNG), compressed(said())), PNG)


def test_a_packet_of_a_png_may_name_its_language():
    named = chunk(b"iTXt", PNG_XMP + b"\0\0en\0XMP of this\0" + said())

    assert is_marked(with_chunk(a_file(PNG), named), PNG)


@pytest.mark.parametrize(
    "text",
    [
        compressed(said() + b" " * MAX_PACKET_BYTES),
        compressed(bytes(200 << 20)),
        chunk(b"iTXt", PNG_XMP + b"\1\0\0\0" + zlib.compress(said())[:-8]),
        chunk(b"iTXt", PNG_XMP + b"\1\0\0\0" + said()),
        chunk(b"iTXt", PNG_XMP + b"\0\0" + said()),
        chunk(b"iTXt", PNG_XMP),
        chunk(b"iTXt", PNG_XMP + b"\0\0\0\0" + said(), checksum=7),
        chunk(b"tEXt", PNG_XMP + said()),
        chunk(b"iTXt", b"Comment\0\0\0\0\0" + said()),
        chunk(b"iTXt", PNG_XMP + b"\0\0\0\0" + said() + b" " * MAX_PACKET_BYTES),
    ],
    ids=[
        *("too much", "a bomb", "cut short", "not compressed", "no language", "empty", "wrong checksum"),
        *("other text", "other keyword", "too long"),
    ],
)
def test_a_text_chunk_that_readers_would_not_take_for_xmp_is_no_mark(text):
    assert not is_marked(with_chunk(a_file(PNG), text), PNG)


def test_a_webp_whose_header_announces_no_xmp_is_not_marked():
    header = MARKED[WEBP].index(b"VP8X") + 8
    silent = MARKED[WEBP][:header] + bytes([MARKED[WEBP][header] & ~4]) + MARKED[WEBP][header + 1 :]

    assert not is_marked(silent, WEBP)


def test_what_follows_the_end_of_a_webp_is_not_part_of_it():
    packet = said()
    mark = b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)

    assert is_marked(MARKED[WEBP] + b"more", WEBP)
    assert not is_marked(a_file(WEBP) + mark, WEBP)


def test_an_item_is_found_by_every_version_of_the_tables():
    packet = said()

    assert is_marked(an_avif(packet), AVIF)
    assert is_marked(an_avif(packet, version=1), AVIF)
    assert is_marked(an_avif(packet, version=2), AVIF)
    assert is_marked(an_avif(packet, entries=an_entry(version=3)), AVIF)
    assert is_marked(an_avif(packet, entries=an_entry(what=b"mime\0application/rdf+xml\0\0")), AVIF)


SAID = said()
OTHER_ITEMS = {
    "protected": an_avif(SAID, entries=an_entry(lock=1)),
    "encoded": an_avif(SAID, entries=an_entry(what=b"mimeXMP\0application/rdf+xml\0deflate\0")),
    "of another type": an_avif(SAID, entries=an_entry(what=b"mimeXMP\0text/plain\0")),
    "no document": an_avif(SAID, entries=an_entry(what=b"ExifXMP\0application/rdf+xml\0")),
    "of an old table": an_avif(SAID, entries=an_entry(version=1)),
    "of another number": an_avif(SAID, entries=an_entry(2)),
    "without an entry": an_avif(SAID, entries=b""),
    "in another box": an_avif(SAID, version=1, method=1),
    "in another file": an_avif(SAID, reference=1),
    "in two pieces": an_avif(SAID, pieces=2),
    "of an unknown version": an_avif(SAID, version=3),
    "with odd fields": an_avif(SAID, sizes=0x3300),
    "beyond the end": an_avif(SAID, mdat=b""),
    "listed twice": an_avif(SAID, more=box(b"iinf", bytes(4) + b"\0\1" + an_entry())),
    "too long": an_avif(SAID + b" " * MAX_PACKET_BYTES),
    "of no AVIF": an_avif(SAID)[24:],
}


@pytest.mark.parametrize("data", OTHER_ITEMS.values(), ids=OTHER_ITEMS)
def test_an_item_that_readers_would_not_take_for_xmp_is_no_mark(data):
    assert not is_marked(data, AVIF)


def test_a_box_may_say_that_it_reaches_to_the_end_or_give_its_length_in_eight_bytes():
    packet = said()
    to_the_end = b"\0\0\0\0mdat" + packet
    begins = an_avif(packet, mdat=b"")
    long_box = (
        begins.replace(struct.pack(">I", len(begins) + 8), struct.pack(">I", len(begins) + 16))
        + b"\0\0\0\1mdat"
        + struct.pack(">Q", 16 + len(packet))
        + packet
    )

    assert is_marked(an_avif(packet, mdat=to_the_end), AVIF)
    assert is_marked(long_box, AVIF)


def hostile_locations(count: int, item: bytes) -> bytes:
    table = b"\0\0\0\0" + b"\0\0" + struct.pack(">H", count) + item * count
    iinf = box(b"iinf", bytes(4) + b"\0\0")
    return box(b"ftyp", b"avif\0\0\0\0") + box(b"meta", bytes(4) + box(b"iloc", table) + iinf)


# Each would keep a careless reader busy, or send it in circles.
ENDLESS = {
    "items of 65,535 pieces that take no room": (AVIF, hostile_locations(MAX_PIECES, b"\0\1\0\0\xff\xff")),
    "boxes without an end": (AVIF, box(b"ftyp", b"avif") + box(b"free", b"") * (MAX_PIECES + 1)),
    "boxes shorter than their own header": (AVIF, box(b"ftyp", b"avif") + b"\0\0\0\4free" * 4),
    "a billion items": (
        AVIF,
        box(b"ftyp", b"avif")
        + box(b"meta", bytes(4) + box(b"iinf", bytes(6)) + box(b"iloc", b"\2\0\0\0\0\0\xff\xff\xff\xff")),
    ),
    "empty chunks of a PNG": (PNG, b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", b"") * (MAX_PIECES + 1)),
    "empty chunks of a WebP": (
        WEBP,
        b"RIFF" + struct.pack("<I", 4 + 8 * (MAX_PIECES + 1)) + b"WEBP" + b"free\0\0\0\0" * (MAX_PIECES + 1),
    ),
    "empty segments of a JPEG": (JPEG, b"\xff\xd8" + b"\xff\xe1\0\2" * (MAX_PIECES + 1) + b"\xff\xd9"),
    "segments shorter than their own length": (JPEG, b"\xff\xd8" + b"\xff\xe1\0\0" * 4 + b"\xff\xd9"),
    "elements without an end": (AVIF, an_avif(b"<a>" * 80_000)),
    "a text of a hundred thousand lines": (
        AVIF,
        an_avif(a_packet("<Iptc4xmpExt:DigitalSourceType>" + "\n" * 100_000 + "</Iptc4xmpExt:DigitalSourceType>")),
    ),
}


@pytest.mark.parametrize(("form", "data"), ENDLESS.values(), ids=ENDLESS)
def test_a_file_that_would_keep_a_reader_busy_is_not_marked(form, data):
    assert not is_marked(data, form)


def test_the_namespaces_of_a_packet_count_and_not_its_prefixes():
    packet = said().replace(b"Iptc4xmpExt:", b"a:").replace(b":Iptc4xmpExt=", b":a=")

    assert RDF.encode() in packet
    assert is_marked(a_file(WEBP, packet), WEBP)
