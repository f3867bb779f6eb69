"""Which part of a render a picture shows, and why. Exact integer arithmetic; no pixels.

The largest window of a picture's ratio touches two opposite edges of the render and slides between the other two. What
must stay (a safe zone, else faces) narrows where it may lie; what else is known decides between the places left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imagetron_contracts.crops import Box, Evidence, Fit, Misfit, Point, Subject
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.slides import Slide, Span, hull
from imagetron_deriver.domain.subjects import Found, Region


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels. It leaves the render only where a picture is padded."""

    left: int
    top: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height


@dataclass(frozen=True, slots=True)
class Placed:
    """A window, the strongest evidence that it follows, and whether it holds all that must stay."""

    window: Window
    evidence: Evidence
    fit: Fit


def has_freedom(render: Dimensions, target: Dimensions) -> bool:
    """False: there is one window only, whatever the render shows."""
    return _largest(render, target) != (render.width, render.height)


def place(render: Dimensions, target: Dimensions, subject: Subject | None, found: Found | None) -> Placed:
    """The window of a picture. Equal renders, sizes, wishes and findings always give equal windows.

    It is the largest of the target's ratio: its free side is the exact one rounded to the nearest pixel, so a picture is
    stretched by less than half a pixel of the window. Only where what must stay is longer than that and may not be cut,
    it is the smallest one that holds it, and leaves the render: the answer to `BORROW`, too, where nothing can be lent.
    """
    width, height = _largest(render, target)
    if (width, height) == (render.width, render.height):
        return Placed(Window(0, 0, width, height), Evidence.CENTRE, Fit.WHOLE)
    if height < render.height:
        slide = Slide(is_vertical=True, render=render.height, window=height)
    else:
        slide = Slide(is_vertical=False, render=render.width, window=width)
    said = subject or Subject()
    zone = [_span(slide, said.safe_zone)] if said.safe_zone else []
    # Largest first: where not all of them fit, those stay that the picture is about.
    faces = [_span(slide, face) for face in sorted(found.faces, key=lambda face: -face.area)] if found else []
    must_stay = zone or faces
    misfit = said.misfit or (Misfit.PAD if zone else Misfit.CUT)
    if misfit is not Misfit.CUT and must_stay and hull(must_stay).length > slide.window:
        window = _padded(render, target, slide, hull(must_stay))
        return Placed(window, Evidence.SAFE_ZONE if zone else Evidence.FACES, Fit.PADDED)
    profile = (found.rows if slide.is_vertical else found.columns) if found else ()
    start = _start(slide, zone, faces, _share(slide, said.focal_point), profile)
    shown = Span(start, start + slide.window)
    return Placed(
        Window(0, start, width, height) if slide.is_vertical else Window(start, 0, width, height),
        _strongest(said, faces, profile),
        Fit.WHOLE if all(shown.holds(span) for span in must_stay) else Fit.CUT,
    )


def _start(
    slide: Slide, zone: Sequence[Span], faces: Sequence[Span], focus: float | None, profile: Sequence[float]
) -> int:
    """Where the window begins. What the caller says goes before faces, which stay where both fit."""
    said = [*zone, *([slide.pixel(focus)] if focus is not None else [])]
    reach, kept = slide.everywhere, []
    for span in (*said, *faces):
        if reach.meets(slide.holding(span)):
            reach = reach.towards(slide.holding(span))
            kept.append(span)
    if focus is not None:
        return reach.nearest(slide.around(focus))
    if kept:
        reach = reach.towards(slide.comfortable(hull(kept), is_faces=not zone))
    return slide.most_salient(profile, reach) if profile else reach.nearest(slide.centre)


def _strongest(said: Subject, faces: Sequence[Span], profile: Sequence[float]) -> Evidence:
    if said.safe_zone:
        return Evidence.SAFE_ZONE
    if said.focal_point:
        return Evidence.FOCAL_POINT
    if faces:
        return Evidence.FACES
    return Evidence.SALIENCY if profile else Evidence.CENTRE


def _largest(render: Dimensions, target: Dimensions) -> tuple[int, int]:
    """Width and height of the largest window inside a render."""
    if render.width * target.height >= render.height * target.width:
        return _rounded(render.height * target.width, target.height), render.height
    return render.width, _rounded(render.width * target.height, target.width)


def _padded(render: Dimensions, target: Dimensions, slide: Slide, whole: Span) -> Window:
    """The smallest window of a ratio that holds a stretch. It leaves the render by as much on the one side as on the other."""
    if slide.is_vertical:
        width = _rounded(whole.length * target.width, target.height)
        return Window((render.width - width) // 2, whole.start, width, whole.length)
    height = _rounded(whole.length * target.height, target.width)
    return Window(whole.start, (render.height - height) // 2, whole.length, height)


def _rounded(numerator: int, denominator: int) -> int:
    """Half up, at least one pixel."""
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def _span(slide: Slide, box: Box | Region) -> Span:
    return slide.span(box.top, box.bottom) if slide.is_vertical else slide.span(box.left, box.right)


def _share(slide: Slide, point: Point | None) -> float | None:
    if point is None:
        return None
    return point.y if slide.is_vertical else point.x
