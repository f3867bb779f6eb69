"""Pictures that another family's render of the same image holds and their own does not."""

from collections.abc import Sequence
from typing import Final

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.logs import log
from imagetron_chassis.per_image import all_ended
from imagetron_contracts.crops import Evidence, Fit, Misfit, Subject
from imagetron_contracts.spec import FileSpec, image_prefix
from imagetron_deriver.domain.windows import Placed, Window
from imagetron_deriver.ports import Cutter, CutterDied, CutterTooSlow, RenderUnreadable
from imagetron_deriver.usecases.cutting import Cropping, Source, crop
from imagetron_deriver.usecases.inputs import RenderLost, Wanted

# How often somebody may have asked again for a family before its render is found no more.
_MOST_ATTEMPTS: Final = 8


def is_to_borrow(placed: Placed, subject: Subject | None) -> bool:
    return subject is not None and subject.misfit is Misfit.BORROW and placed.fit is not Fit.WHOLE


async def borrow(
    index: int, files: Sequence[FileSpec], wanted: Wanted, *, work: Blobs, cutter: Cutter
) -> Sequence[Cropping]:
    """What the other families give, in the spec's order. A render that is not there, or not readable, gives nothing."""
    croppings: list[Cropping] = []
    left = tuple(files)
    for family in wanted.spec.families:
        if left and family != wanted.message.family:
            cropping = await _from(family, index, left, wanted, work, cutter)
            if cropping is not None:
                croppings.append(cropping)
                left = cropping.passed_over
    return croppings


async def _from(
    family: str, index: int, files: Sequence[FileSpec], wanted: Wanted, work: Blobs, cutter: Cutter
) -> Cropping | None:
    key = await _newest_render(family, index, wanted, work)
    if key is None:
        return None
    lender = wanted.spec.families[family]
    source = Source(index, key, lender.render, lender.subject, lender=family)
    whole = Window(0, 0, lender.render.width, lender.render.height)

    def holds_it(placed: Placed) -> bool:
        """Something that must stay is known of there, or nothing of the render is left out."""
        is_known = placed.evidence in {Evidence.SAFE_ZONE, Evidence.FACES} or placed.window == whole
        return placed.fit is Fit.WHOLE and is_known

    try:
        return await crop(source, files, wanted, take=holds_it, work=work, cutter=cutter)
    except (RenderLost, RenderUnreadable, CutterDied, CutterTooSlow) as error:
        # Its own family hears of it; this one's picture can be had without.
        log().warning(
            "render_not_borrowed", family=wanted.message.family, lender=family, index=index, reason=str(error)
        )
        return None


async def _newest_render(family: str, index: int, wanted: Wanted, work: Blobs) -> str | None:
    message = wanted.message
    keys = [
        f"{image_prefix(message.job_id, message.revision, family, attempt, index)}/render"
        for attempt in range(_MOST_ATTEMPTS, 0, -1)
    ]
    known = await all_ended(*(work.head(key) for key in keys))
    return next((blob.key for blob in known if blob is not None), None)
