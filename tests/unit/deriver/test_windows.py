"""Which part of a render a picture shows, and why."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagetron_contracts.crops import Box, Evidence, Fit, Misfit, Point, Subject
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.subjects import Found, Region
from imagetron_deriver.domain.windows import Placed, Window, has_freedom, place

BUCKETS = ("1024x1024", "1344x768", "768x1344", "1536x640")
TABLE = {
    f"{family.name}.{name}": size
    for family in FAMILIES.values()
    for name, size in (("master", family.master), *((item.name, item.size) for item in family.derivatives))
}


def size(text: str) -> Dimensions:
    width, height = map(int, text.split("x"))
    return Dimensions(width=width, height=height)


def a_zone(left: float, top: float, right: float, bottom: float, misfit: Misfit | None = None) -> Subject:
    return Subject(safe_zone=Box(left=left, top=top, right=right, bottom=bottom), misfit=misfit)


def a_focus(x: float, y: float) -> Subject:
    return Subject(focal_point=Point(x=x, y=y))


def found(*faces: tuple[float, float, float, float], columns: tuple[float, ...] = (), rows: tuple[float, ...] = ()):
    return Found(detector="by hand", faces=tuple(Region(*face) for face in faces), columns=columns, rows=rows)


def nearest(side: Fraction) -> int:
    return math.floor(side + Fraction(1, 2))


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("name", TABLE)
def test_a_picture_of_the_table_shows_the_largest_centred_window_of_its_ratio_rounded_to_the_nearest_pixel(
    bucket, name
):
    render, target = size(bucket), TABLE[name]
    ratio = Fraction(target.width, target.height)

    placed = place(render, target, None, None)

    cut = placed.window
    if ratio > Fraction(render.width, render.height):
        assert (cut.left, cut.width) == (0, render.width)
        assert cut.height == nearest(render.width / ratio)
        assert cut.top == (render.height - cut.height) // 2
    else:
        assert (cut.top, cut.height) == (0, render.height)
        assert cut.width == nearest(render.height * ratio)
        assert cut.left == (render.width - cut.width) // 2
    assert (placed.evidence, placed.fit) == (Evidence.CENTRE, Fit.WHOLE)


@pytest.mark.parametrize(
    ("render", "target", "expected"),
    [
        ("1024x1024", "1200x1200", Window(0, 0, 1024, 1024)),
        ("1344x768", "1920x1080", Window(0, 6, 1344, 756)),
        ("768x1344", "1080x1920", Window(6, 0, 756, 1344)),
        ("768x1344", "750x1334", Window(6, 0, 756, 1344)),
        ("1536x640", "2560x1097", Window(21, 0, 1494, 640)),
        ("1536x640", "1920x823", Window(21, 0, 1493, 640)),
        ("1344x768", "1200x628", Window(0, 32, 1344, 703)),
        ("1344x768", "1200x627", Window(0, 33, 1344, 702)),
        ("1344x768", "1024x1024", Window(288, 0, 768, 768)),
    ],
)
def test_the_windows_of_the_table_are_these(render, target, expected):
    assert place(size(render), size(target), None, None).window == expected


@pytest.mark.parametrize(("render", "target"), [("1024x1024", "512x512"), ("1920x1080", "1280x720"), ("100x99", "1x1")])
def test_there_is_freedom_unless_the_largest_window_is_the_render(render, target):
    assert has_freedom(size(render), size(target)) == (render == "100x99")


def test_where_there_is_no_freedom_nothing_decides():
    everything = found((0.1, 0.1, 0.3, 0.3), columns=(0, 1), rows=(0, 1))

    placed = place(size("1024x1024"), size("512x512"), a_zone(0, 0, 0.1, 0.1), everything)

    assert placed == Placed(Window(0, 0, 1024, 1024), Evidence.CENTRE, Fit.WHOLE)


@pytest.mark.parametrize(("x", "left"), [(0, 0), (0.3, 19), (0.5, 288), (0.9, 576), (1, 576)])
def test_a_window_follows_the_focal_point_as_far_as_the_render_reaches(x, left):
    placed = place(size("1344x768"), size("800x800"), a_focus(x, 0.5), None)

    assert placed == Placed(Window(left, 0, 768, 768), Evidence.FOCAL_POINT, Fit.WHOLE)


def test_a_focal_point_moves_a_window_no_further_than_its_safe_zone_allows():
    subject = Subject(safe_zone=Box(left=0.1, top=0, right=0.3, bottom=1), focal_point=Point(x=0.9, y=0.5))

    placed = place(size("1000x500"), size("500x500"), subject, None)

    assert placed == Placed(Window(100, 0, 500, 500), Evidence.SAFE_ZONE, Fit.WHOLE)


def test_a_focal_point_goes_before_faces_that_it_cannot_be_shown_with():
    face = (0.0, 0.2, 0.1, 0.4)

    placed = place(size("1000x500"), size("500x500"), a_focus(0.9, 0.5), found(face))

    assert placed == Placed(Window(500, 0, 500, 500), Evidence.FOCAL_POINT, Fit.CUT)


def test_faces_that_a_focal_point_can_be_shown_with_stay_whole():
    face = (0.2, 0.2, 0.3, 0.4)

    placed = place(size("1000x500"), size("500x500"), a_focus(0.6, 0.5), found(face))

    assert placed == Placed(Window(200, 0, 500, 500), Evidence.FOCAL_POINT, Fit.WHOLE)


def test_faces_go_before_what_draws_the_eye():
    at_the_right = found((0.1, 0.2, 0.2, 0.4), columns=(0, 0, 0, 1))

    placed = place(size("1000x500"), size("500x500"), None, at_the_right)

    assert placed.evidence == Evidence.FACES
    assert placed.fit == Fit.WHOLE
    assert placed.window.left <= 100


def test_what_draws_the_eye_goes_before_the_centre():
    placed = place(size("1000x500"), size("500x500"), None, found(columns=(0, 0, 0, 1)))

    assert placed == Placed(Window(500, 0, 500, 500), Evidence.SALIENCY, Fit.WHOLE)


def test_of_places_that_show_as_much_the_one_nearest_to_the_centre_is_taken():
    placed = place(size("1000x500"), size("500x500"), None, found(columns=(0, 0.2, 0.5, 0.3, 0, 0, 0, 0, 0, 0)))

    assert placed.window.left == 100


def test_what_draws_the_eye_decides_between_the_places_that_a_safe_zone_leaves():
    zone = a_zone(0.4, 0, 0.5, 1)

    at_the_left = place(size("1000x500"), size("500x500"), zone, found(columns=(1, 0, 0, 0)))
    at_the_right = place(size("1000x500"), size("500x500"), zone, found(columns=(0, 0, 0, 1)))

    assert at_the_left.window.left < 250 < at_the_right.window.left
    assert at_the_left.evidence == at_the_right.evidence == Evidence.SAFE_ZONE


def test_a_safe_zone_has_a_quarter_of_the_room_around_it_on_either_side():
    zone = a_zone(0.4, 0, 0.5, 1)

    placed = place(size("1000x500"), size("500x500"), zone, found(columns=(1, 0, 0, 0)))

    assert placed.window.left == 100


@pytest.mark.parametrize(("columns", "left"), [((1, 0, 0, 0), 133), ((0, 0, 0, 1), 267)])
def test_faces_have_a_third_of_the_room_around_them_on_either_side(columns, left):
    placed = place(size("1000x500"), size("500x500"), None, found((0.4, 0.1, 0.5, 0.3), columns=columns))

    assert placed == Placed(Window(left, 0, 500, 500), Evidence.FACES, Fit.WHOLE)


@pytest.mark.parametrize(("rows", "room_above"), [((1, 0, 0, 0), 280 // 3), ((0, 0, 0, 1), 280 // 5)])
def test_faces_have_a_fifth_to_a_third_of_the_room_above_them(rows, room_above):
    placed = place(size("600x1200"), size("600x400"), None, found((0.4, 0.25, 0.6, 0.35), rows=rows))

    assert placed == Placed(Window(0, 300 - room_above, 600, 400), Evidence.FACES, Fit.WHOLE)


def test_faces_stay_beside_a_safe_zone_where_both_fit():
    zone, face = a_zone(0.5, 0, 0.6, 1), (0.15, 0.2, 0.25, 0.4)

    placed = place(size("1000x500"), size("500x500"), zone, found(face))

    assert placed.window.left <= 150
    assert placed.fit == Fit.WHOLE


def test_a_safe_zone_goes_before_faces_that_it_cannot_be_shown_with():
    zone, face = a_zone(0.9, 0, 1, 1), (0.0, 0.2, 0.1, 0.4)

    placed = place(size("1000x500"), size("500x500"), zone, found(face))

    assert placed == Placed(Window(500, 0, 500, 500), Evidence.SAFE_ZONE, Fit.WHOLE)


def test_the_largest_faces_stay_where_not_all_of_them_fit():
    large, small = (0.7, 0.1, 0.9, 0.6), (0.0, 0.1, 0.1, 0.3)

    placed = place(size("1000x500"), size("500x500"), None, found(small, large))

    assert placed.fit == Fit.CUT
    assert placed.window.left <= 700
    assert placed.window.left + 500 >= 900


def test_a_face_that_is_longer_than_the_window_shows_its_eyes():
    placed = place(size("600x1200"), size("600x200"), None, found((0.2, 0.25, 0.8, 0.75), rows=(1, 0)))

    assert placed == Placed(Window(0, 500, 600, 200), Evidence.FACES, Fit.CUT)


@pytest.mark.parametrize("misfit", [None, Misfit.PAD, Misfit.BORROW])
def test_a_safe_zone_that_fits_no_window_is_padded_evenly_unless_told_otherwise(misfit):
    placed = place(size("1000x500"), size("400x400"), a_zone(0.2, 0, 0.9, 1, misfit), None)

    assert placed == Placed(Window(200, -100, 700, 700), Evidence.SAFE_ZONE, Fit.PADDED)


def test_a_safe_zone_that_is_too_high_is_padded_at_the_sides():
    placed = place(size("500x1000"), size("400x400"), a_zone(0, 0.1, 1, 0.8), None)

    assert placed == Placed(Window(-100, 100, 700, 700), Evidence.SAFE_ZONE, Fit.PADDED)


def test_a_safe_zone_is_cut_where_the_caller_prefers_it():
    placed = place(size("1000x500"), size("500x500"), a_zone(0.2, 0, 0.9, 1, Misfit.CUT), None)

    assert placed == Placed(Window(250, 0, 500, 500), Evidence.SAFE_ZONE, Fit.CUT)


def test_faces_are_padded_where_the_caller_prefers_it():
    apart = found((0.0, 0.1, 0.1, 0.3), (0.6, 0.1, 0.8, 0.3))

    placed = place(size("1000x500"), size("500x500"), Subject(misfit=Misfit.PAD), apart)

    assert placed == Placed(Window(0, -150, 800, 800), Evidence.FACES, Fit.PADDED)


def test_nothing_is_padded_where_nothing_must_stay():
    placed = place(size("1000x500"), size("500x500"), Subject(misfit=Misfit.PAD), None)

    assert placed == Placed(Window(250, 0, 500, 500), Evidence.CENTRE, Fit.WHOLE)


def test_a_safe_zone_of_exactly_the_windows_size_fits():
    # 0.07 * 100 is 7.000000000000001 in floating point.
    placed = place(size("100x7"), size("512x512"), a_zone(0, 0, 0.07, 1), None)

    assert placed == Placed(Window(0, 0, 7, 7), Evidence.SAFE_ZONE, Fit.WHOLE)


sides = st.integers(1, 8192)
dimensions = st.builds(Dimensions, width=sides, height=sides)
shares = st.floats(0, 1)
points = st.builds(Point, x=shares, y=shares)
stretches = (
    st.tuples(shares, shares).map(lambda ends: (min(ends), max(ends))).filter(lambda ends: ends[1] - ends[0] > 1e-4)
)
boxes = st.tuples(stretches, stretches).map(lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1]))
zones = boxes.map(lambda box: Box(left=box[0], top=box[1], right=box[2], bottom=box[3]))
subjects = st.builds(
    Subject,
    safe_zone=st.none() | zones,
    focal_point=st.none() | points,
    misfit=st.none() | st.sampled_from(Misfit),
)
profiles = st.just(()) | st.lists(st.integers(0, 100), min_size=64, max_size=64).filter(any).map(
    lambda masses: tuple(mass / sum(masses) for mass in masses)
)
findings = st.builds(
    Found,
    detector=st.just("by chance"),
    faces=st.lists(boxes.map(lambda box: Region(*box)), max_size=3).map(tuple),
    columns=profiles,
    rows=profiles,
)
maybe_subjects, maybe_findings = st.none() | subjects, st.none() | findings


def pixels_of(box: Box | Region, render: Dimensions) -> tuple[float, float, float, float]:
    return box.left * render.width, box.top * render.height, box.right * render.width, box.bottom * render.height


def holds(window: Window, box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = window.box
    rest = 1e-5  # what shares and their products leave over
    return left <= box[0] + rest and top <= box[1] + rest and box[2] <= right + rest and box[3] <= bottom + rest


def what_must_stay(subject: Subject | None, finding: Found | None) -> tuple[Box | Region, ...]:
    if subject and subject.safe_zone:
        return (subject.safe_zone,)
    return finding.faces if finding else ()


@given(dimensions, dimensions, maybe_subjects, maybe_findings)
def test_a_window_leaves_the_render_only_where_it_is_padded(render, target, subject, finding):
    placed = place(render, target, subject, finding)

    left, top, right, bottom = placed.window.box
    is_inside = 0 <= left < right <= render.width and 0 <= top < bottom <= render.height
    assert is_inside or placed.fit == Fit.PADDED


@given(dimensions, dimensions, maybe_subjects, maybe_findings)
def test_a_window_has_the_targets_ratio_to_half_a_pixel(render, target, subject, finding):
    window = place(render, target, subject, finding).window

    ratio = Fraction(target.width, target.height)
    assert (
        abs(window.width - window.height * ratio) <= Fraction(1, 2)
        or abs(window.height - window.width / ratio) <= Fraction(1, 2)
        or 1 in {window.width, window.height}
    )


@given(dimensions, dimensions, maybe_subjects, maybe_findings)
def test_a_window_is_the_largest_one_unless_it_is_padded(render, target, subject, finding):
    placed = place(render, target, subject, finding)

    largest = place(render, target, None, None).window
    is_largest = (placed.window.width, placed.window.height) == (largest.width, largest.height)
    assert is_largest or placed.fit == Fit.PADDED


@given(dimensions, dimensions, maybe_subjects, maybe_findings)
def test_a_window_holds_all_that_must_stay_unless_it_says_that_it_is_cut(render, target, subject, finding):
    placed = place(render, target, subject, finding)

    holds_all = all(holds(placed.window, pixels_of(box, render)) for box in what_must_stay(subject, finding))
    assert holds_all or placed.fit == Fit.CUT


@given(dimensions, dimensions, findings)
def test_a_face_is_cut_only_where_no_window_of_the_ratio_holds_all_faces(render, target, finding):
    placed = place(render, target, None, finding)

    assume(placed.fit == Fit.CUT)
    box = [pixels_of(face, render) for face in finding.faces]
    left, right = math.floor(min(face[0] for face in box)), math.ceil(max(face[2] for face in box))
    top, bottom = math.floor(min(face[1] for face in box)), math.ceil(max(face[3] for face in box))
    assert right - left > placed.window.width or bottom - top > placed.window.height


@given(dimensions, dimensions, zones, maybe_findings)
def test_a_safe_zone_stays_whole_whatever_is_found(render, target, zone, finding):
    placed = place(render, target, Subject(safe_zone=zone), finding)

    assert holds(placed.window, pixels_of(zone, render))


@given(dimensions, dimensions, maybe_subjects, maybe_findings)
def test_a_window_says_the_strongest_evidence_that_it_follows(render, target, subject, finding):
    placed = place(render, target, subject, finding)

    assume(has_freedom(render, target))
    is_vertical = place(render, target, None, None).window.width == render.width
    present = {
        Evidence.SAFE_ZONE: bool(subject and subject.safe_zone),
        Evidence.FOCAL_POINT: bool(subject and subject.focal_point) and placed.fit != Fit.PADDED,
        Evidence.FACES: bool(finding and finding.faces),
        Evidence.SALIENCY: bool(finding and (finding.rows if is_vertical else finding.columns)),
        Evidence.CENTRE: True,
    }
    assert placed.evidence == next(evidence for evidence in Evidence if present[evidence])


@given(dimensions, dimensions, points, st.floats(0, 1))
def test_a_window_moves_with_its_focal_point_and_never_against_it(render, target, point, further):
    moved = Point(x=max(point.x, further), y=max(point.y, further))

    here = place(render, target, Subject(focal_point=point), None).window
    there = place(render, target, Subject(focal_point=moved), None).window

    assert there.left >= here.left
    assert there.top >= here.top


def mirrored(subject: Subject | None, finding: Found | None) -> tuple[Subject | None, Found | None]:
    if subject:
        zone, point = subject.safe_zone, subject.focal_point
        subject = Subject(
            safe_zone=zone and Box(left=1 - zone.right, top=zone.top, right=1 - zone.left, bottom=zone.bottom),
            focal_point=point and Point(x=1 - point.x, y=point.y),
            misfit=subject.misfit,
        )
    if finding:
        faces = tuple(Region(1 - face.right, face.top, 1 - face.left, face.bottom) for face in finding.faces)
        finding = Found(finding.detector, faces, finding.columns[::-1], finding.rows)
    return subject, finding


# Sixteenths: exact in floating point, so that a mirrored share is exactly that.
exact = st.integers(0, 16).map(lambda place: place / 16)
exact_stretches = (
    st.tuples(exact, exact).map(lambda ends: (min(ends), max(ends))).filter(lambda ends: ends[0] < ends[1])
)
exact_boxes = st.tuples(exact_stretches, exact_stretches).map(
    lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1])
)


@given(
    st.builds(Dimensions, width=st.integers(2, 512).map(lambda side: side * 16), height=sides),
    dimensions,
    st.none()
    | st.builds(
        Subject,
        safe_zone=st.none() | exact_boxes.map(lambda box: Box(left=box[0], top=box[1], right=box[2], bottom=box[3])),
        misfit=st.none() | st.sampled_from(Misfit),
    ),
    st.builds(
        Found,
        detector=st.just("by chance"),
        faces=exact_boxes.map(lambda box: (Region(*box),)) | st.just(()),
        # Rising: no two places show equally much, so that there is no choice between mirrored ones.
        columns=st.just(()) | st.just(tuple(place / 2080 for place in range(1, 65))),
    ),
)
def test_a_mirrored_render_has_the_mirrored_window(render, target, subject, finding):
    window = place(render, target, subject, finding).window
    other = place(render, target, *mirrored(subject, finding)).window

    # Between two pixels, the middle is the left one on either side of the mirror.
    assert abs(render.width - (other.left + other.width) - window.left) <= 1
    assert (other.top, other.width, other.height) == (window.top, window.width, window.height)


@given(dimensions, dimensions, profiles.filter(any))
def test_no_place_shows_more_of_what_draws_the_eye(render, target, profile):
    placed = place(render, target, None, found(columns=profile, rows=profile))

    assume(placed.evidence == Evidence.SALIENCY)
    left, top, right, bottom = placed.window.box
    is_vertical = placed.window.width == render.width
    length, size, start = (render.height, bottom - top, top) if is_vertical else (render.width, right - left, left)
    bins = [Fraction(mass) for mass in profile]

    def mass(start: int) -> Fraction:
        begin, end = Fraction(start * 64, length), Fraction((start + size) * 64, length)
        overlaps = (min(end, Fraction(n + 1)) - max(begin, Fraction(n)) for n in range(64))
        return sum((bins[n] * max(Fraction(0), overlap) for n, overlap in enumerate(overlaps)), start=Fraction(0))

    others = [(length - size) * step // 16 for step in range(17)]
    assert all(mass(start) >= mass(other) - Fraction(1, 1 << 32) for other in others)
