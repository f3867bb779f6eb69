"""What a detector's word is worth: only what makes sense is taken."""

import pytest
from pydantic import ValidationError

from imagetron_deriver.domain.findings import MOST_FACES, Finding
from imagetron_deriver.domain.subjects import PROFILE_BINS, Found, Region

EVEN = (1 / PROFILE_BINS,) * PROFILE_BINS
FACE = (0.1, 0.2, 0.3, 0.4)


def told(**changes: object) -> dict[str, object]:
    return {"detector": "twin 1", "faces": [FACE], "columns": EVEN, "rows": EVEN, **changes}


def test_a_finding_is_kept_and_read_again_as_it_was():
    found = Found("twin 1", (Region(*FACE),), EVEN, EVEN)

    assert Finding.model_validate_json(Finding.of(found).model_dump_json()).as_found() == found


def test_nothing_at_all_is_a_finding():
    assert Finding.model_validate(told(faces=[], columns=[], rows=[])).as_found() == Found("twin 1")


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": ""},
        {"detector": "a name\nof two lines"},
        {"detector": "n" * 201},
        {"faces": [(0.1, 0.2, 0.3)]},
        {"faces": [(-0.1, 0.2, 0.3, 0.4)]},
        {"faces": [(0.1, 0.2, 1.1, 0.4)]},
        {"faces": [(0.1, 0.2, float("nan"), 0.4)]},
        {"faces": [(0.3, 0.2, 0.3, 0.4)]},
        {"faces": [(0.1, 0.4, 0.3, 0.2)]},
        {"faces": [FACE] * (MOST_FACES + 1)},
        {"columns": EVEN[1:]},
        {"columns": (*EVEN[2:], float("inf"), float("-inf"))},
        {"columns": (0.0,) * PROFILE_BINS},
        {"rows": (1.0,) * PROFILE_BINS},
    ],
)
def test_what_makes_no_sense_is_refused(changes):
    with pytest.raises(ValidationError):
        Finding.model_validate(told(**changes))
