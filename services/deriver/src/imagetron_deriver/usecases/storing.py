"""An image's files and its manifest in the work store. Doing it again changes nothing: the first of each name stays."""

from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import image_prefix
from imagetron_contracts.stages import DerivedImage
from imagetron_deriver.ports import Picture
from imagetron_deriver.usecases.inputs import Renders, derivation_of


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture in the work store, with the bytes that are there."""

    key: str
    byte_count: int


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the files of one image lie. Cutting again finds it with other pictures in it, and adds its own."""

    path: str
    manifest: str

    @classmethod
    def of(cls, message: Renders, index: int) -> Self:
        path = f"{image_prefix(message.job_id, message.revision, message.family, message.attempt, index)}/files"
        derivation = derivation_of(message)
        return cls(path, f"{path}/manifest.json" if derivation is None else f"{path}/manifest-{derivation}.json")


async def finished(folder: Folder, work: Blobs) -> DerivedImage | None:
    """The image, if an earlier try finished it."""
    try:
        return DerivedImage.model_validate_json(await work.get(folder.manifest))
    except BlobMissing:
        return None
    except ValidationError:
        log().warning("manifest_unreadable", key=folder.manifest)
        return None


async def store(folder: Folder, picture: Picture, form: ImageFormat, work: Blobs) -> Stored:
    """Under its digest: no other bytes are ever stored there."""
    key = f"{folder.path}/{picture.digest}.{form.extension}"
    is_new = await work.put_if_absent(key, picture.data, content_type=form.content_type)
    fault_point("deriver.file_stored")
    if is_new:
        return Stored(key, len(picture.data))
    # What an earlier try stored is what is published.
    earlier = await work.head(key)
    return Stored(key, earlier.size_bytes if earlier else len(picture.data))


async def finish(folder: Folder, image: DerivedImage, work: Blobs) -> DerivedImage:
    """Last: who finds the manifest finds every file. Gives what the manifest says, which may be another's."""
    is_new = await work.put_if_absent(
        folder.manifest, image.model_dump_json().encode(), content_type="application/json"
    )
    fault_point("deriver.manifest_stored")
    return image if is_new else await finished(folder, work) or image
