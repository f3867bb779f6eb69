"""From a family's renders to its pictures: what the deriver answers to both of its messages."""

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.per_image import all_ended, each_alone
from imagetron_contracts.spec import FileSpec
from imagetron_contracts.stages import (
    DerivativesRendered,
    DerivedFile,
    DerivedImage,
    RenderedImage,
)
from imagetron_deriver.ports import Cutter
from imagetron_deriver.usecases.borrowing import borrow, is_to_borrow
from imagetron_deriver.usecases.cutting import Cropped, Cropping, Source, crop
from imagetron_deriver.usecases.inputs import Renders, Wanted, derivation_of, read_wanted
from imagetron_deriver.usecases.storing import Folder, finish, finished, store


async def derive_family(message: Renders, *, tries: int, work: Blobs, cutter: Cutter) -> DerivativesRendered | None:
    """Every file of every image; None when the job was cancelled or there is nothing to cut.

    Images stand alone: while another try can still help one of them, the error is raised and the finished ones are not
    made again; then it becomes an entry in `errors`. Raised too if no image is left.
    """
    if not message.images or await is_cancelled(message, work):
        return None
    wanted = await read_wanted(message, work)

    async def derive(image: RenderedImage) -> tuple[DerivedImage, float]:
        return await _derive_image(image, wanted, work, cutter)

    outcome = await each_alone(
        message.images, derive, family=message.family, tries=tries, log_failure="image_not_derived"
    )
    if await is_cancelled(message, work):
        return None
    return DerivativesRendered(
        job_id=message.job_id,
        revision=message.revision,
        family=message.family,
        attempt=message.attempt,
        derivation=derivation_of(message),
        images=tuple(image for image, _ in outcome.done),
        errors=outcome.errors,
        encode_seconds=sum(seconds for _, seconds in outcome.done),
    )


async def _derive_image(
    image: RenderedImage, wanted: Wanted, work: Blobs, cutter: Cutter
) -> tuple[DerivedImage, float]:
    folder = Folder.of(wanted.message, image.index)
    earlier = await finished(folder, work)
    if earlier:
        return earlier, 0.0
    croppings = await _croppings(image, wanted, work, cutter)
    cropped = {file: each for cropping in croppings for file, each in cropping.cropped.items()}
    own = croppings[0].found
    derived = DerivedImage(
        index=image.index,
        files=await _stored(folder, wanted.files, cropped, work),
        detection=own.as_detection() if own else None,
    )
    return await finish(folder, derived, work), sum(cropping.seconds for cropping in croppings)


async def _croppings(image: RenderedImage, wanted: Wanted, work: Blobs, cutter: Cutter) -> list[Cropping]:
    """Of its own render first; together they have every file."""
    source = Source(image.index, image.key, image.size, wanted.subject)
    own = await crop(
        source,
        wanted.files,
        wanted,
        take=lambda placed: not is_to_borrow(placed, wanted.subject),
        work=work,
        cutter=cutter,
    )
    if not own.passed_over:
        return [own]
    borrowed = await borrow(image.index, own.passed_over, wanted, work=work, cutter=cutter)
    left = borrowed[-1].passed_over if borrowed else own.passed_over
    if not left:
        return [own, *borrowed]
    # As nobody lends them, the render itself is padded. It had been closed: there may be one process only.
    padded = await crop(source, left, wanted, take=lambda _: True, work=work, cutter=cutter)
    return [own, *borrowed, padded]


async def _stored(
    folder: Folder, files: tuple[FileSpec, ...], cropped: dict[FileSpec, Cropped], work: Blobs
) -> tuple[DerivedFile, ...]:
    # Files that are the same picture, such as most masters and a derivative of their size, share one object.
    pictures = {(cropped[file].picture.digest, file.format): cropped[file].picture for file in files}
    stored = await all_ended(*(store(folder, picture, form, work) for (_, form), picture in pictures.items()))
    objects = dict(zip(pictures, stored, strict=True))
    return tuple(
        DerivedFile(
            name=file.name,
            key=objects[cropped[file].picture.digest, file.format].key,
            size=file.size,
            format=file.format,
            byte_count=objects[cropped[file].picture.digest, file.format].byte_count,
            digest=cropped[file].picture.digest,
            crop=cropped[file].crop,
        )
        for file in files
    )
