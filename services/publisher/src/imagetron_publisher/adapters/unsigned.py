"""Signs nothing: pictures leave as they were derived, with the mark and no signature."""

from imagetron_contracts.ids import JobId
from imagetron_contracts.stages import DerivedFile


class Unsigned:
    """The signer of an installation that has no certificate."""

    repeats_itself = True

    async def sign(self, data: bytes, *, job_id: JobId, file: DerivedFile) -> bytes:  # noqa: ARG002 - the port's
        return data
