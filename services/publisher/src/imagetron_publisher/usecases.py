"""What the publisher does: copy finished pictures to the public store, marked and signed, and take discarded ones away."""

import asyncio
from dataclasses import dataclass

from opentelemetry import trace

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.errors import Permanent, Transient
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.marks.reading import is_marked
from imagetron_chassis.per_image import all_ended, each_alone
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import (
    DerivativesRendered,
    DerivedFile,
    DerivedImage,
    FamilyPublished,
    ObjectsDiscarded,
    PublishedFile,
    PublishedFiles,
)
from imagetron_publisher.domain.publication import CACHE_CONTROL, NotADigest, belongs_to, looks_like, public_key
from imagetron_publisher.ports import Signer


class PictureLost(Permanent):
    """A derived file is no longer in the work store; only a new attempt can bring it back."""

    failure_code = FailureCode.WORK_LOST


class PictureUnfit(Permanent):
    """The bytes in the work store are not the ones that were derived. They do not become public."""

    failure_code = FailureCode.RENDER_UNREADABLE


class PictureUnmarked(Permanent):
    """The file does not say that a model made it. Nothing leaves without that."""


class PublicKeyTaken(Permanent):
    """Other bytes lie under the picture's public key, and public objects never change."""


class ForeignObject(Permanent):
    """A job asked to remove an object that is not its own. Nothing was removed."""


async def publish_family(
    message: DerivativesRendered,
    *,
    tries: int,
    work: Blobs,
    public: Blobs,
    signer: Signer,
    copies: asyncio.Semaphore,
) -> FamilyPublished | None:
    """Every file of every image, public before it is announced; None when cancelled or there is nothing to publish.

    Images stand alone: while another try can still help one of them, the error is raised and repeated copies change
    nothing; then it becomes an entry in `errors`. Raised too if no image is left. `copies` bounds those under way.
    """
    if not message.images or await is_cancelled(message, work):
        return None
    copier = _Copier(message, work, public, signer, copies)
    with trace.get_tracer(__name__).start_as_current_span("publish files"):
        outcome = await each_alone(
            message.images, copier.publish, family=message.family, tries=tries, log_failure="image_not_published"
        )
    if await is_cancelled(message, work):
        return None
    return FamilyPublished(
        job_id=message.job_id,
        revision=message.revision,
        family=message.family,
        attempt=message.attempt,
        derivation=message.derivation,
        images=outcome.done,
        errors=outcome.errors,
    )


async def discard_objects(message: ObjectsDiscarded, *, public: Blobs) -> None:
    """Remove public objects of one job. Those that are gone already do not matter."""
    for key in message.keys:
        if not belongs_to(message.job_id, key):
            raise ForeignObject(f"job {message.job_id} discards {key[:120]!r}, which is not one of its objects")
    for key in message.keys:
        await public.delete(key)
    log().info("objects_discarded", count=len(message.keys))


@dataclass(frozen=True, slots=True)
class _Copier:
    message: DerivativesRendered
    work: Blobs
    public: Blobs
    signer: Signer
    copies: asyncio.Semaphore

    async def publish(self, image: DerivedImage) -> PublishedFiles:
        # Files of one digest are one picture under several names: one object serves them all.
        different = {self._key(file): file for file in image.files}
        sizes = await all_ended(*(self._copy(key, file) for key, file in different.items()))
        byte_counts = dict(zip(different, sizes, strict=True))
        return PublishedFiles(
            index=image.index,
            files=tuple(self._published(file, byte_counts[self._key(file)]) for file in image.files),
            detection=image.detection,
        )

    async def _copy(self, key: str, file: DerivedFile) -> int:
        """The length of what is public under the key, whoever put it there."""
        async with self.copies:
            data = await self._signed(file)
            stored = await self.public.put_if_absent(
                key, data, content_type=file.format.content_type, cache_control=CACHE_CONTROL
            )
            fault_point("publisher.file_copied")
            if stored:
                return len(data)
            return await self._size_of_what_is_there(key, file, len(data))

    async def _size_of_what_is_there(self, key: str, file: DerivedFile, wanted: int) -> int:
        """Where signatures differ each time, other bytes are an earlier try's: they were looked at before they were put."""
        there = await self.public.head(key)
        if there is None:
            raise Transient(f"{key} was removed while {file.name} was being published")
        if there.size_bytes != wanted and self.signer.repeats_itself:
            raise PublicKeyTaken(f"{key} holds {there.size_bytes} bytes and cannot become {file.name} of {wanted}")
        return there.size_bytes

    async def _signed(self, file: DerivedFile) -> bytes:
        """The bytes that leave. Nothing touches them once they have been looked at."""
        derived = await self._derived(file)
        _check(derived, file)
        signed = await self.signer.sign(derived, job_id=self.message.job_id, file=file)
        _check(signed, file, "once signed")
        return signed

    async def _derived(self, file: DerivedFile) -> bytes:
        try:
            data = await self.work.get(file.key)
        except BlobMissing as error:
            raise PictureLost(f"{file.name} is no longer in the work store") from error
        if len(data) != file.byte_count:
            raise PictureUnfit(
                f"{file.name} has {len(data)} bytes in the work store, and {file.byte_count} were derived"
            )
        return data

    def _published(self, file: DerivedFile, byte_count: int) -> PublishedFile:
        return PublishedFile(
            name=file.name,
            key=self._key(file),
            size=file.size,
            format=file.format,
            byte_count=byte_count,
            digest=file.digest,
            crop=file.crop,
        )

    def _key(self, file: DerivedFile) -> str:
        try:
            return public_key(self.message.job_id, file.digest, file.format)
        except NotADigest as error:
            raise PictureUnfit(f"{file.name} cannot get a public key: {error}") from error


def _check(data: bytes, file: DerivedFile, when: str = "as derived") -> None:
    if not looks_like(data, file.format):
        raise PictureUnfit(f"{file.name}, {when}, does not begin as a {file.format.value} file does")
    if not is_marked(data, file.format):
        raise PictureUnmarked(f"{file.name}, {when}, does not say that a model made it, so it is not published")
