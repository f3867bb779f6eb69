"""What crops keep of photographs and composites whose subjects were boxed by hand. `benchmarks/crops` has all figures."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from crops.album import pictures
from crops.measures import Summary, cases, centred, found_in, measured, ours


@pytest.fixture(scope="module")
def every():
    return cases(list(pictures()))


@pytest.fixture(scope="module")
def results(every):
    findings = {
        name: found_in(picture) for name, picture in {case.picture.name: case.picture for case in every}.items()
    }
    return measured(ours(findings), every)


def test_no_face_that_looks_this_way_is_cut_where_a_window_could_hold_it(every, results):
    assert sum(case.most_faces for case in every) > 100

    assert [(result.case.picture.name, result.case.family) for result in results if result.faces_cut] == []


def test_crops_keep_nearly_all_of_their_subjects_that_any_window_could(results):
    assert Summary.of(results).mean >= 0.965
    assert Summary.of(results).worst >= 0.6


def test_crops_keep_more_than_the_middle_would(every, results):
    photographs = [result for result in results if not result.case.picture.is_composite]
    middle = measured(centred, [result.case for result in photographs])

    assert Summary.of(photographs).mean > Summary.of(middle).mean
