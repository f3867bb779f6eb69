"""`imagetron crops` against the gateway's own application: what it shows, what it asks for, and how it says no."""

import json
from pathlib import Path

import pytest

from contract.api.counter import ANNA
from imagetron_contracts.crops import Crop, Evidence, Fit, Misfit, Subject, Window
from support.builders import a_family, a_job, family_published, renders_generated, stage_failed
from unit.cli.test_operating import Desk

JOB = a_job(a_family("square")).id


@pytest.fixture
def desk() -> Desk:
    """A gateway with one finished job, whose render is still there."""
    desk = Desk()
    job = a_job(a_family("square"), owner=ANNA.owner)
    renders, published = renders_generated(job), family_published(job)
    crop = Crop(
        window=Window(left=12, top=-4, width=1024, height=1032),
        evidence=Evidence.SAFE_ZONE,
        fit=Fit.BORROWED,
        family="hero",
    )
    files = published.images[0].files
    images = published.images[0].model_copy(
        update={
            "files": (
                files[0].model_copy(update={"crop": crop.model_copy(update={"family": None})}),
                files[1].model_copy(update={"crop": crop}),
                *files[2:],
            )
        }
    )

    async def finished() -> None:
        await desk.counter.jobs.insert(job, ANNA)
        await desk.counter.work.put_if_absent(renders.images[0].key, b"P6", content_type="image/x-portable-pixmap")
        await desk.counter.play(job.id, renders, published.model_copy(update={"images": (images,)}))

    desk.run(finished())
    return desk


def subject(desk: Desk) -> Subject | None:
    return desk.run(desk.counter.job(JOB)).families["square"].subject


def test_every_picture_is_told_with_its_window_and_why(desk):
    result = desk.imagetron("crops", JOB, "square")

    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()][:4] == [
        ["image", "picture", "format", "size", "window", "evidence", "fit"],
        ["0", "square", "webp", "1024x1024", "1024x1032+12-4", "safe_zone", "borrowed"],
        ["0", "og-image", "webp", "1200x1200", "1024x1032+12-4", "safe_zone", "borrowed", "from", "hero"],
        ["0", "twitter-card", "webp", "800x800", "-", "-", "-"],
    ]


def test_for_machines_it_is_the_gateways_own_document(desk):
    answer = json.loads(desk.imagetron("crops", JOB, "square", "--json").stdout)

    assert (answer["job"], answer["family"], answer["recut"]) == (JOB, "square", None)


def test_a_subject_has_the_pictures_cut_again(desk):
    words = ("--safe-zone", "0.1,0,0.6,0.9", "--focal-point", "0.5,0.5", "--misfit", "pad")
    result = desk.imagetron("crops", JOB, "square", *words)
    said = subject(desk)

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "cutting again, derivation 1: under way"
    assert said is not None
    assert said.model_dump() == {
        "safeZone": {"left": 0.1, "top": 0, "right": 0.6, "bottom": 0.9},
        "focalPoint": {"x": 0.5, "y": 0.5},
        "misfit": Misfit.PAD,
    }


def test_none_takes_back_what_was_said(desk):
    desk.imagetron("crops", JOB, "square", "--safe-zone", "0.1,0,0.6,0.9", "--misfit", "pad")
    desk.imagetron("crops", JOB, "square", "--safe-zone", "none", "--misfit", "none", "--focal-point", "none")

    assert subject(desk) is None


def test_what_failed_is_told_and_can_be_asked_for_again(desk):
    desk.imagetron("crops", JOB, "square", "--again")
    job = desk.run(desk.counter.job(JOB))
    desk.run(desk.counter.play(JOB, stage_failed(job, derivation=1, message="the render has expired")))

    shown = desk.imagetron("crops", JOB, "square").stdout
    assert shown.splitlines()[-1] == "cutting again, derivation 1: image 0: the render has expired"
    shown = desk.imagetron("crops", JOB, "square", "--again").stdout
    assert shown.splitlines()[-1] == "cutting again, derivation 2: under way"


def test_the_drawing_is_saved(desk, tmp_path: Path):
    out = tmp_path / "new" / "crops.png"
    result = desk.imagetron("crops", JOB, "square", "--out", str(out))

    assert result.stdout.replace("\n", "").endswith(f"drawn in {out}")
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--safe-zone", "0.1,0.2"), 2, "write left,top,right,bottom as shares from 0 to 1, or none"),
        (("--focal-point", "left,top"), 2, "write x,y as shares from 0 to 1, or none"),
        (("--misfit", "stretch"), 1, "/misfit"),
        (("--safe-zone", "0.9,0,0.1,1"), 1, "/safeZone/right"),
        (("--image", "7", "--out", "never.png"), 1, "square has no image with the index 7"),
    ],
)
def test_what_is_not_understood_says_what_to_write(desk, words, status, said):
    result = desk.imagetron("crops", JOB, "square", *words)

    assert result.exit_code == status
    assert said in " ".join(result.output.replace("│", " ").split())
    assert subject(desk) is None
