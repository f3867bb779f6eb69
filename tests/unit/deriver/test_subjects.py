"""What was found in a render, and how others are told it."""

from imagetron_contracts.crops import Box, Detection, Point
from imagetron_deriver.domain.subjects import Found, Region


def test_a_finding_is_told_with_its_faces_and_the_place_that_draws_the_eye_most():
    found = Found(
        detector="by hand",
        faces=(Region(0.1, 0.2, 0.3, 0.4),),
        columns=(0.1, 0.1, 0.1, 0.7),
        rows=(0.2, 0.6, 0.1, 0.1),
    )

    assert found.as_detection() == Detection(
        detector="by hand",
        faces=(Box(left=0.1, top=0.2, right=0.3, bottom=0.4),),
        salient=Point(x=0.875, y=0.375),
    )


def test_a_finding_of_nothing_says_no_more_than_who_looked():
    assert Found(detector="by hand").as_detection() == Detection(detector="by hand")
