"""What a request says of its files and of what must stay in the pictures: `output` and `crop`, as they come and as they are
shown.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from imagetron_chassis.watermarks import unwritable
from imagetron_contracts.crops import Box, Misfit, Point, Subject
from imagetron_contracts.families import FamilyTable
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import MAX_WATERMARK_CHARACTERS, Output, Placement, Profile, Watermark
from imagetron_gateway.api.schemas import Body, FamilyName, Number, Shown, storable
from imagetron_gateway.domain.families import MAX_FAMILIES

# Less cannot be told from a slip of the hand: 1 % of the smallest side that is rendered is a handful of pixels.
MIN_SHARE: Final = 0.01
# Control and formatting characters, and what breaks a line: nobody sees them, and some change how the others are read.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})

Share = Annotated[Number, Field(ge=0, le=1)]


def unsaid(schema: dict[str, Any]) -> None:
    """Where nothing is said, `Accept` may choose: a client generated from the schema must not say our default for its caller."""
    schema.pop("default", None)


def _beyond(near: str, start: float | None, end: float) -> float:
    """The far edge, if it leaves enough; a near edge that has objections of its own is not measured against."""
    if start is not None and round(end - start, 9) < MIN_SHARE:
        raise ValueError(f"is {end:g}, and {near} is {start:g}: must be at least {MIN_SHARE} more than {near}")
    return end


def _few_families(families: object) -> object:
    """Before anything looks at each of them."""
    if isinstance(families, dict) and len(families) > MAX_FAMILIES:
        raise ValueError(f"names {len(families)} families; no table has more than {MAX_FAMILIES}")
    return families


def _few_formats(formats: object) -> object:
    if isinstance(formats, list) and len(formats) > len(ImageFormat):
        raise ValueError(f"names {len(formats)} formats; there are {len(ImageFormat)}")
    return formats


def _different(formats: list[ImageFormat]) -> list[ImageFormat]:
    if repeated := sorted(form for form, times in Counter(formats).items() if times > 1):
        raise ValueError(f"named twice: {', '.join(repeated)}")
    return formats


def _writable(text: str) -> str:
    if unseen := [character for character in text if unicodedata.category(character) in _UNSEEN]:
        raise ValueError(f"must be one line of visible characters; remove {_named(unseen)}")
    if unknown := unwritable(text):
        raise ValueError(f"holds characters that the watermarks' font does not have; replace {_named(unknown)}")
    return text


def _named(characters: Iterable[str]) -> str:
    codes = {character: f"U+{ord(character):04X}" for character in characters}
    return ", ".join(f"{sign} ({code})" if sign.isprintable() else code for sign, code in codes.items())


class BoxBody(Body):
    """A part of the picture, in shares of its width and height from the top left."""

    left: Share
    top: Share
    right: Share = Field(description="At least 0.01 more than `left`.")
    bottom: Share = Field(description="At least 0.01 more than `top`.")

    @field_validator("right")
    @classmethod
    def _is_right_of_left(cls, right: float, info: ValidationInfo) -> float:
        return _beyond("left", info.data.get("left"), right)

    @field_validator("bottom")
    @classmethod
    def _is_below_top(cls, bottom: float, info: ValidationInfo) -> float:
        return _beyond("top", info.data.get("top"), bottom)


class PointBody(Body):
    """A place in the picture, in shares of its width and height from the top left."""

    x: Share
    y: Share


class SubjectBody(Body):
    """What the pictures are about. It goes before whatever is detected; what is left out is detected."""

    safe_zone: BoxBody | None = Field(default=None, description="Stays whole.")
    focal_point: PointBody | None = Field(
        default=None, description="Stays as near to the middle as the safe zone and the picture's edges allow."
    )
    misfit: Misfit | None = Field(
        default=None,
        description="What happens where a size cannot hold all that must stay: `cut`, as much as fits; `pad`, all of it, with "
        "the picture's edges continued, out of focus; `borrow`, all of it from another family's picture, if one holds it, "
        "otherwise as `pad`. Left out: a safe zone is padded, detected faces are cut.",
    )


def subject_of(said: SubjectBody) -> Subject | None:
    """What was said of the subject; None if that is nothing."""
    zone, point = said.safe_zone, said.focal_point
    subject = Subject(
        safe_zone=Box(left=zone.left, top=zone.top, right=zone.right, bottom=zone.bottom) if zone else None,
        focal_point=Point(x=point.x, y=point.y) if point else None,
        misfit=said.misfit,
    )
    return None if subject == Subject() else subject


class CropBody(SubjectBody):
    """What must stay in the pictures, whatever their shape: in all families, and in single ones."""

    families: Annotated[dict[FamilyName, SubjectBody], BeforeValidator(_few_families)] = Field(
        default={},
        description="By family, one of those requested: instead of all that is said for all of them, not beside it.",
    )

    @field_serializer("families")
    def _that_say_something(self, families: Mapping[str, SubjectBody]) -> dict[str, Any]:
        """A field that is null and one that is left out are the same."""
        return {name: said.model_dump(mode="json", exclude_none=True) for name, said in families.items()}


def in_own_names(crop: CropBody, table: FamilyTable) -> CropBody:
    """The same by the families' own names: whichever of its names a family is given, the request is the same."""
    return crop.model_copy(update={"families": {table.canonical(name): said for name, said in crop.families.items()}})


class WatermarkBody(Body):
    """A line of text on every picture, legible on light and dark."""

    text: Annotated[
        str,
        StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=MAX_WATERMARK_CHARACTERS),
        AfterValidator(storable),
        AfterValidator(_writable),
    ] = Field(description="One line. Spaces around it do not count.")
    placement: Placement = Placement.BOTTOM_RIGHT


class OutputBody(Body):
    """How the files are made, beyond their sizes."""

    formats: Annotated[list[ImageFormat], BeforeValidator(_few_formats), AfterValidator(_different)] = Field(
        default=[ImageFormat.WEBP],
        min_length=1,
        max_length=len(ImageFormat),
        description="A file in each of them for every picture; the first one's is told where one URL is told. Left out, the "
        "image types of the header `Accept` count, the most wanted first; where there are none, it is `webp`.",
        json_schema_extra=unsaid,
    )
    profile: Profile = Field(
        default=Profile.QUALITY,
        description="`quality`: few bytes for how it looks; `fast`: the same looks in half the time, for some more bytes.",
    )
    watermark: WatermarkBody | None = None
    embed_prompt: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Writes the prompt into the files: everybody who has a file can read it. That a model made it, every file "
        "says.",
    )


def output_of(said: OutputBody) -> Output:
    """What was said of the files, beyond their formats."""
    mark = said.watermark
    return Output(
        profile=said.profile,
        watermark=Watermark(text=mark.text, placement=mark.placement) if mark else None,
        embeds_prompt=said.embed_prompt,
    )


class WatermarkShown(Shown):
    text: str
    placement: Placement


class OutputShown(Shown):
    """How the files are made, beyond their sizes. The first format is the one that is told where one URL is told."""

    formats: list[ImageFormat]
    profile: Profile
    watermark: WatermarkShown | None
    embed_prompt: bool = Field(description="Whether everybody who has a file can read the prompt in it.")


def output_shown(formats: Collection[ImageFormat], output: Output) -> OutputShown:
    mark = output.watermark
    return OutputShown(
        formats=list(formats),
        profile=output.profile,
        watermark=WatermarkShown(text=mark.text, placement=mark.placement) if mark else None,
        embed_prompt=output.embeds_prompt,
    )


class SubjectShown(Shown):
    """What the caller said of the pictures' subject."""

    safe_zone: Box | None
    focal_point: Point | None
    misfit: Misfit | None


def subject_shown(subject: Subject) -> SubjectShown:
    return SubjectShown(safe_zone=subject.safe_zone, focal_point=subject.focal_point, misfit=subject.misfit)
