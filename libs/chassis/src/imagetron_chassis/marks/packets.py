"""What a file says of its own making: an XMP packet. The standard library alone."""

import re
from typing import Final
from xml.sax.saxutils import escape

DIGITAL_SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for a picture that a model made, under the address that readers compare letter by letter."""

_PACKET: Final = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPE}">%s</rdf:Description></rdf:RDF></x:xmpmeta>'
)
# IPTC Photo Metadata 2025.1. Not dc:description as well: that says what a picture shows, and agencies print it under it.
_PROMPT: Final = "<Iptc4xmpExt:AIPromptInformation>%s</Iptc4xmpExt:AIPromptInformation>"
# XML 1.0 has no way to write these, not even escaped; half of a surrogate pair is no character at all.
_UNSPEAKABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def packet(prompt: str | None = None) -> bytes:
    """The mark, and the prompt where it is given. What XML cannot say becomes U+FFFD.

    A JPEG holds 65,502 bytes of it. The longest prompt, 4,000 characters, needs less than a third of that.
    """
    if prompt is None:
        return (_PACKET % "").encode()
    # A plain carriage return would be read as a line feed.
    text = escape(_UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", prompt), {"\r": "&#13;"})
    return (_PACKET % (_PROMPT % text)).encode()
