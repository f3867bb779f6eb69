"""What the publisher wants of others, besides its stores."""

from typing import Protocol

from imagetron_contracts.ids import JobId
from imagetron_contracts.stages import DerivedFile


class Signer(Protocol):
    """Signs finished pictures, so that anybody can tell who published them and whether they were changed since."""

    @property
    def repeats_itself(self) -> bool:
        """Whether it gives the same bytes for the same file each time. Signatures with a time or a nonce do not."""
        ...

    async def sign(self, data: bytes, *, job_id: JobId, file: DerivedFile) -> bytes:
        """The file with a signature in it: the same picture in the same format, and still marked. That is looked at.

        May be asked again for a file that it has signed. Raises Transient, or another Retryable, while whoever signs is
        away, and Permanent for a file that it will never sign.
        """
        ...
