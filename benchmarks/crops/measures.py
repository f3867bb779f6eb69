"""How much of what was drawn by hand a way of cropping keeps, relative to the best window of the same ratio."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crops.album import Box, Picture

from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_deriver.adapters.imaging.detecting import detect
from imagetron_deriver.domain.findings import Finding
from imagetron_deriver.domain.subjects import Found
from imagetron_deriver.domain.windows import Window, has_freedom, place

# A face of which less than this share of the area is seen is cut. Boxes drawn by hand are not exact to the pixel.
WHOLE: Final = 0.98

Cropping = Callable[[Picture, Dimensions], Window]


@dataclass(frozen=True, slots=True)
class Case:
    """A picture and a ratio of the table, with the best that any largest window of that ratio can do."""

    picture: Picture
    family: str
    target: Dimensions
    best_share: float
    most_faces: int
    most_turned_away: int


@dataclass(frozen=True, slots=True)
class Result:
    """What one way of cropping kept in one case."""

    case: Case
    window: Window
    share: float
    """Of the best possible."""
    faces_cut: int
    """Of those that some window of the ratio holds whole, together."""
    turned_away_cut: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A row of the table."""

    mean: float
    worst: float
    faces_cut: int
    turned_away_cut: int

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Summary":
        shares = [result.share for result in results]
        return cls(
            mean=sum(shares) / len(shares),
            worst=min(shares),
            faces_cut=sum(result.faces_cut for result in results),
            turned_away_cut=sum(result.turned_away_cut for result in results),
        )


def cases(pictures: Sequence[Picture]) -> list[Case]:
    """Every picture in every ratio of the table, but for those ratios that leave it whole."""
    return [
        _case(picture, family.name, family.master)
        for picture in pictures
        for family in FAMILIES.values()
        if has_freedom(size_of(picture), family.master)
    ]


def measured(crop: Cropping, of: Sequence[Case]) -> list[Result]:
    results = []
    for case in of:
        window = crop(case.picture, case.target)
        results.append(
            Result(
                case=case,
                window=window,
                share=_share_kept(case.picture, window.box) / case.best_share,
                faces_cut=case.most_faces - min(case.most_faces, _whole(case.picture.faces, window.box)),
                turned_away_cut=case.most_turned_away
                - min(case.most_turned_away, _whole(case.picture.turned_away, window.box)),
            )
        )
    return results


def centred(picture: Picture, target: Dimensions) -> Window:
    return place(size_of(picture), target, None, None).window


def ours(findings: dict[str, Found]) -> Cropping:
    """What the deriver does where the caller says nothing."""
    return lambda picture, target: place(size_of(picture), target, None, findings[picture.name]).window


def found_in(picture: Picture) -> Found:
    return Finding.model_validate(detect(picture.image)).as_found()


def size_of(picture: Picture) -> Dimensions:
    return Dimensions(width=picture.image.width, height=picture.image.height)


def _case(picture: Picture, family: str, target: Dimensions) -> Case:
    boxes = list(_every_window(picture, target))
    return Case(
        picture=picture,
        family=family,
        target=target,
        best_share=max(_share_kept(picture, box) for box in boxes),
        most_faces=max(_whole(picture.faces, box) for box in boxes),
        most_turned_away=max(_whole(picture.turned_away, box) for box in boxes),
    )


def _every_window(picture: Picture, target: Dimensions) -> list[Box]:
    """Of the largest size, every fourth pixel."""
    window, (width, height) = centred(picture, target), picture.image.size
    lefts = {*range(0, width - window.width + 1, 4), width - window.width}
    tops = {*range(0, height - window.height + 1, 4), height - window.height}
    return [(left, top, left + window.width, top + window.height) for left in lefts for top in tops]


def _share_kept(picture: Picture, box: Box) -> float:
    return sum(_common(subject, box) for subject in picture.subjects) / sum(map(_area, picture.subjects))


def _whole(faces: Sequence[Box], box: Box) -> int:
    return sum(_common(face, box) >= WHOLE * _area(face) for face in faces)


def _common(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
