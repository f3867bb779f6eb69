"""The preview model's painter on its own: no Triton, no network."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
VERSION_FOLDER = ROOT / "deploy" / "triton" / "model_repository" / "preview" / "1"
TRITON_PYTHON = ROOT / ".venv" / "triton" / "bin" / "python3"

# What VERSION promises: these orders' pixels. A change of a pixel needs a new version, and with it new digests.
PIXELS = {
    "1": {
        "a sailing boat at sunset": "52a3d86e9e84713a",
        "a cat in a snowy forest, aurora": "e58000ee8383ac2c",
        "tokyo skyline": "738613ee05c279eb",
        "desert dunes with a cactus": "47c3188283506f97",
        "flower meadow in spring": "9503c57c8ba335bb",
    }
}

PLACES = ["mountain", "ocean", "forest", "meadow", "desert", "city", "snow", "abstract"]
SUBJECTS = [
    "boat", "lighthouse", "balloon", "tree", "house", "stones", "flower", "cactus", "person", "cat", "tower", "planet"
]  # fmt: skip


def load_painting():
    """The model's folder is not a package of ours: it is loaded by path, as Triton does."""
    folder = VERSION_FOLDER / "painting"
    spec = importlib.util.spec_from_file_location(
        "painting", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["painting"] = module
    spec.loader.exec_module(module)
    return module


painting = load_painting()


def an_order(prompt="a sailing boat at sunset", **changes):
    values = {"negative_prompt": "", "seed": 7, "width": 128, "height": 96, "steps": 30, "guidance": 7.0} | changes
    return painting.Order(prompt=prompt, **values)


def painted(prompt="a sailing boat at sunset", **changes) -> np.ndarray:
    work = painting.Painting(an_order(prompt, **changes))
    for _ in work.steps():
        pass
    image: np.ndarray = work.image
    return image


def distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


def saturation(image: np.ndarray) -> float:
    return float((image.max(axis=2).astype(int) - image.min(axis=2)).mean())


def test_the_same_order_gives_the_same_bytes():
    assert painted().tobytes() == painted().tobytes()


def test_pictures_painted_at_the_same_time_do_not_influence_each_other():
    prompts = ["a sailing boat at sunset", "a cat at night", "tokyo skyline", "a lone tree"]
    alone = [painted(prompt).tobytes() for prompt in prompts]

    with ThreadPoolExecutor(4) as threads:
        together = [image.tobytes() for image in threads.map(painted, prompts)]

    assert together == alone


def test_the_pixels_of_this_version_are_the_ones_it_promised():
    digests = {
        prompt: hashlib.sha256(painted(prompt, width=256, height=256).tobytes()).hexdigest()[:16]
        for prompt in PIXELS[painting.VERSION]
    }

    assert digests == PIXELS[painting.VERSION]


@pytest.mark.skipif(not TRITON_PYTHON.exists(), reason="the Triton environment is not built here (make setup)")
def test_the_pixels_are_the_same_under_tritons_numpy_and_on_an_older_processor():
    program = """
import hashlib, sys
from painting import Order, Painting
for prompt in sys.argv[1:]:
    work = Painting(Order(prompt=prompt, negative_prompt="", seed=7, width=256, height=256, steps=30, guidance=7.0))
    list(work.steps())
    print(hashlib.sha256(work.image.tobytes()).hexdigest()[:16])
"""
    variables = os.environ | {
        "PYTHONPATH": str(VERSION_FOLDER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX2 FMA3",
    }
    promised = PIXELS[painting.VERSION]

    answer = subprocess.run(
        [TRITON_PYTHON, "-W", "ignore", "-c", program, *promised],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )

    assert answer.stdout.split() == list(promised.values())


@pytest.mark.parametrize("steps", [1, 2, 5, 30, 150])
def test_an_order_reports_each_of_its_steps_once_and_ends_with_the_whole_picture(steps):
    work = painting.Painting(an_order(steps=steps))
    work.image[:] = 77

    assert list(work.steps()) == list(range(1, steps + 1))
    assert not (work.image == 77).all(axis=2).all(axis=1).any()


def test_the_picture_is_not_finished_before_the_last_step():
    work = painting.Painting(an_order())
    # Fresh memory may still hold the same picture, painted by another test.
    work.image[:] = 77
    steps = work.steps()
    for _ in range(29):
        next(steps)
    before = work.image.copy()
    next(steps)

    assert before.tobytes() != work.image.tobytes()


def test_fewer_steps_give_the_same_composition_with_less_detail():
    few, many = painted(steps=10, width=256, height=256), painted(steps=30, width=256, height=256)

    assert 0 < distance(few, many) < 6


@pytest.mark.parametrize("other", [{"seed": 8}, {"prompt": "a sailing boat at dawn"}, {"prompt": "xyzzy"}])
def test_another_seed_or_prompt_gives_a_clearly_different_picture(other):
    assert distance(painted(), painted(**other)) > 12


def test_a_job_keeps_its_scene_in_every_aspect_ratio():
    square, wide = painted(width=256, height=256), painted(width=512, height=256)

    for channel in range(3):
        assert abs(square[..., channel].mean() - wide[..., channel].mean()) < 25


def test_a_night_is_darker_than_a_day():
    assert painted("the coast at night").mean() + 40 < painted("the coast on a bright day").mean()


def test_more_guidance_gives_fuller_colours():
    pale, usual, full = (saturation(painted(guidance=guidance)) for guidance in (1.0, 7.0, 15.0))

    assert pale + 2 < usual < full - 2


def test_the_negative_prompt_takes_an_ingredient_away_and_ignores_what_is_not_there():
    usual = painted("cloudy coast, bright day")

    assert distance(usual, painted("cloudy coast, bright day", negative_prompt="clouds")) > 1
    assert usual.tobytes() == painted("cloudy coast, bright day", negative_prompt="text, watermark").tobytes()


@pytest.mark.parametrize("place", PLACES)
def test_every_place_carries_every_subject_in_every_aspect_ratio(place):
    for subject in SUBJECTS:
        for width, height in ((64, 64), (160, 64), (64, 160)):
            image = painted(f"{place} {subject}", width=width, height=height, steps=20)
            assert image.shape == (height, width, 3)
            assert image.std() > 8, f"{place} with {subject} at {width}x{height} is nearly one colour"


def a_photograph(width=150, height=100) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 256], axis=2).astype(np.uint8)


def test_with_full_strength_the_picture_is_the_painting_alone():
    assert painted(source=a_photograph(), strength=1.0).tobytes() == painted().tobytes()


def test_without_strength_a_source_of_the_pictures_size_comes_back_unchanged():
    source = a_photograph(128, 96)

    assert painted(source=source, strength=0.0).tobytes() == source.tobytes()


def test_more_strength_goes_from_the_source_to_the_painting():
    made = [painted(source=a_photograph(128, 96), strength=strength) for strength in (0.0, 0.3, 0.7, 1.0)]

    from_source = [distance(made[0], picture) for picture in made]
    assert from_source == sorted(set(from_source))
    half = painted(source=a_photograph(128, 96), strength=0.5).astype(int)
    assert np.abs(half * 2 - made[0].astype(int) - made[3].astype(int)).max() <= 1


def test_a_source_of_another_shape_is_cut_around_its_middle_and_not_stretched():
    wide = np.zeros((48, 300, 3), np.uint8)
    wide[:, 118:182] = 200

    image = painted(source=wide, strength=0.0)

    # 300x48 to 128x96: the middle 64 columns remain.
    assert image.shape == (96, 128, 3)
    assert (image == 200).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 48), (256, 192), (300, 200), (4096, 3)])
def test_a_source_of_any_size_is_taken_and_keeps_its_colours(width, height):
    image = painted(source=np.full((height, width, 3), (10, 128, 255), np.uint8), strength=0.0)

    assert (image == (10, 128, 255)).all()


def test_a_source_is_resized_to_the_same_bytes_everywhere():
    variation = painted(source=a_photograph(), strength=0.4)

    # Integers alone decide it: as with PIXELS, another digest needs a new version of the painter.
    assert hashlib.sha256(variation.tobytes()).hexdigest()[:16] == "60176404d43b7342"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompt": " \n"}, "PROMPT is empty; it must say what to paint."),
        ({"prompt": "x" * 4001}, "PROMPT has 4001 characters; at most 4000 are allowed."),
        ({"negative_prompt": "x" * 4001}, "NEGATIVE_PROMPT has 4001 characters; at most 4000 are allowed."),
        ({"width": 56}, "WIDTH is 56; it must be a multiple of 8 from 64 to 4096."),
        ({"width": 65}, "WIDTH is 65; it must be a multiple of 8 from 64 to 4096."),
        ({"height": 4104}, "HEIGHT is 4104; it must be a multiple of 8 from 64 to 4096."),
        ({"steps": 0}, "STEPS is 0; it must be between 1 and 150."),
        ({"steps": 151}, "STEPS is 151; it must be between 1 and 150."),
        ({"seed": -1}, "SEED is -1; it must be between 0 and 9223372036854775807."),
        ({"guidance": float("nan")}, "GUIDANCE is nan; it must be between 0 and 100."),
        ({"strength": 1.5}, "STRENGTH is 1.5; it must be between 0 and 1."),
        (
            {"source": np.zeros((4, 4, 4), np.uint8)},
            "SOURCE has the shape [4, 4, 4]; it must be [height, width, 3], each at most 4096.",
        ),
        (
            {"source": np.zeros((4, 4097, 3), np.uint8)},
            "SOURCE has the shape [4, 4097, 3]; it must be [height, width, 3], each at most 4096.",
        ),
    ],
)
def test_an_order_that_cannot_be_painted_is_refused_with_a_sentence(changes, sentence):
    with pytest.raises(painting.Refused) as refused:
        an_order(**changes)

    assert str(refused.value) == sentence


def test_text_that_is_not_utf_8_is_refused_with_the_place():
    with pytest.raises(painting.Refused, match="PROMPT is not valid UTF-8: invalid start byte at byte 2"):
        painting.text_of("PROMPT", b"ok\xff")


def test_any_other_text_is_a_prompt():
    for prompt in ("🏔️🌊", "山と湖の朝", "'; DROP TABLE", "0", "\x00"):
        assert painted(prompt, width=64, height=64).shape == (64, 64, 3)
