"""Where a picture lies for the public and how long caches may keep it; what its first bytes must be. No store."""

import re
from typing import Final

from imagetron_contracts.ids import JobId
from imagetron_contracts.media import ImageFormat

# A key never gets other bytes, so nobody ever has to ask again.
CACHE_CONTROL: Final = "public, max-age=31536000, immutable"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MAGIC: Final = {
    ImageFormat.WEBP: re.compile(rb"RIFF....WEBP", re.DOTALL),
    ImageFormat.PNG: re.compile(rb"\x89PNG\r\n\x1a\n"),
    ImageFormat.JPEG: re.compile(rb"\xff\xd8\xff"),
    ImageFormat.AVIF: re.compile(rb"....ftypavif", re.DOTALL),
}


class NotADigest(ValueError):
    """A public key is made of a job's id and a sha256 in hex, and of nothing else."""

    def __init__(self, given: str) -> None:
        super().__init__(f"{given[:80]!r} is not a sha256 in hex")


def public_key(job_id: JobId, digest: str, form: ImageFormat) -> str:
    """Immutable, and the job's own: removing one job's pictures never touches another's. Raises NotADigest."""
    if not _DIGEST.fullmatch(digest):
        raise NotADigest(digest)
    return f"{job_id}/{digest}.{form.extension}"


def belongs_to(job_id: JobId, key: str) -> bool:
    """Whether this public key is one of the job's."""
    return key.startswith(f"{job_id}/")


def looks_like(data: bytes, form: ImageFormat) -> bool:
    """Whether the bytes begin as a file of this format does: browsers go by that, whatever the type says."""
    return _MAGIC[form].match(data) is not None
