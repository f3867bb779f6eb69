"""What another team installs: light, complete, and importable by name."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import imagetron_contracts
from imagetron_contracts.export import rendered_schemas

PROJECT = Path(__file__).parents[3] / "libs/contracts"
HEAVY = ("faststream", "aio_pika", "aiormq", "fastapi", "starlette", "motor", "boto3", "httpx", "opentelemetry", "PIL")
ASK = "import sys, imagetron_contracts; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def test_importing_the_package_imports_nothing_heavy():
    answer = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True, timeout=60)
    modules = answer.stdout.split()

    assert "imagetron_contracts" in modules
    assert [name for name in modules if name in HEAVY] == []
    assert [name for name in modules if name.startswith("imagetron_")] == ["imagetron_contracts"]


def test_the_package_depends_on_pydantic_alone():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert [requirement.partition(">=")[0] for requirement in project["dependencies"]] == ["pydantic"]
    assert "optional-dependencies" not in project


def test_the_wheel_holds_the_schemas_and_says_that_it_is_typed(wheel):
    names = set(wheel.namelist())

    assert {f"imagetron_contracts/schemas/{name}" for name in rendered_schemas()} <= names
    assert "imagetron_contracts/py.typed" in names


def test_the_wheel_asks_for_pydantic_alone(wheel):
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()

    assert [line for line in lines if line.startswith("Requires-Dist: ")] == ["Requires-Dist: pydantic>=2.11"]


def test_the_public_names_are_these():
    assert set(imagetron_contracts.__all__) == {
        *("CONTENT_TYPE", "EVENTS", "FAMILIES", "MAX_BODY_BYTES", "MESSAGE_TYPES", "SCHEMA_URN"),
        *("Envelope", "Message", "UnreadableMessage", "Value", "decode"),
        *("FamilyCompleted", "FamilyFailed", "PublishedImage", "VariationCancelled", "VariationCompleted"),
        *("VariationEvent", "VariationFailed", "VariationPartial", "VariationStarted"),
        *("BUILT_IN_TABLE", "FamilyTable"),
        *("AmbiguousName", "Derivative", "Family", "PictureName", "UnknownFamily", "family_named", "picture_named"),
        *("Dimensions", "Exchange", "FailureCode", "ImageFormat", "JobId", "Stage", "event_id", "new_job_id"),
    }
    assert all(hasattr(imagetron_contracts, name) for name in imagetron_contracts.__all__)
