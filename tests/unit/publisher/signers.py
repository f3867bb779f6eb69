"""A signer for tests: a MAC in each format's own place for additions, where standards for signatures put theirs too.

No certificate and no standard's format: what it shows is what a signature does to a file.
"""

import hmac
import os
import struct
import zlib

from imagetron_contracts.ids import JobId
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.stages import DerivedFile

_KEY = b"a key for tests"


class StampingSigner:
    """Its stamps hold a nonce, as signatures hold a time: no two files it gives are alike, nor of one length."""

    repeats_itself = False

    async def sign(self, data: bytes, *, job_id: JobId, file: DerivedFile) -> bytes:
        nonce = os.urandom(2)
        said = job_id.encode() + file.digest.encode() + nonce
        stamp = said + hmac.digest(_KEY, said + data, "sha256") + bytes(1 + nonce[0])
        return _PLACES[file.format](data, stamp)


def _webp(data: bytes, stamp: bytes) -> bytes:
    """A chunk of an unknown name at the end."""
    chunk = b"sTMP" + struct.pack("<I", len(stamp)) + stamp + bytes(len(stamp) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:] + chunk


def _jpeg(data: bytes, stamp: bytes) -> bytes:
    """An application segment, the first."""
    return data[:2] + b"\xff\xeb" + struct.pack(">H", len(stamp) + 2) + stamp + data[2:]


def _png(data: bytes, stamp: bytes) -> bytes:
    """A private chunk behind the header."""
    named = b"stMP" + stamp
    return data[:33] + struct.pack(">I", len(stamp)) + named + struct.pack(">I", zlib.crc32(named)) + data[33:]


def _avif(data: bytes, stamp: bytes) -> bytes:
    """A box of its own at the end: in front of the pixels it would move them from where the tables say they are."""
    return data + struct.pack(">I", 24 + len(stamp)) + b"uuid" + bytes(range(16)) + stamp


_PLACES = {ImageFormat.WEBP: _webp, ImageFormat.JPEG: _jpeg, ImageFormat.PNG: _png, ImageFormat.AVIF: _avif}
