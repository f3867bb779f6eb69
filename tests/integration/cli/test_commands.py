"""The commands as a person runs them, on a real stack."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from imagetron_cli.embedded.ports import Ports, is_free
from integration.cli.processes import naming
from support.eventually import eventually_sync
from support.exiftool import MADE_BY_A_MODEL, read_by_exiftool

ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def imagetron(*arguments: str, folder: Path, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "imagetron_cli", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(*arguments: str, folder: Path, environment: dict[str, str] | None = None) -> tuple[int, str]:
    with imagetron(*arguments, folder=folder, environment=environment) as program:
        output, _ = program.communicate(timeout=110)
        return program.returncode, output


def free_base() -> int:
    """The first of eleven free ports."""
    while True:
        base = random.randrange(20_000, 32_000, 11)
        if all(is_free(port) for port in Ports.from_base(base).named().values()):
            return base


def test_a_broker_of_the_callers_that_does_not_answer_is_told_at_once(tmp_path):
    status, output = finished(
        "up",
        "--port-base",
        str(free_base()),
        folder=tmp_path,
        environment={"AMQP_URL": "amqp://guest:hidden@127.0.0.1:1/"},
    )

    assert status == 1
    assert "AMQP_URL: the broker does not answer" in output
    assert "hidden" not in output
    assert "Traceback" not in output


@dataclass(frozen=True)
class Up:
    program: "subprocess.Popen[bytes]"
    folder: Path
    base: int

    @property
    def log(self) -> str:
        return (self.folder / "up.txt").read_text()


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    """`imagetron up` in a folder of its own, ready."""
    folder = tmp_path_factory.mktemp("up")
    base = free_base()
    with (folder / "up.txt").open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", "imagetron_cli", "up", "--port-base", str(base)],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Up(program, folder, base)
    try:
        eventually_sync(lambda: "stack ready in" in running.log or program.poll() is not None, within_seconds=90)
        assert program.poll() is None, running.log
        yield running
    finally:
        program.kill()
        program.wait()
        eventually_sync(lambda: naming(str(folder)) == [], within_seconds=15)


def test_the_doctor_finds_a_running_stack_healthy(up):
    def look() -> list[dict[str, str]] | None:
        status, output = finished("doctor", "--port-base", str(up.base), "--json", folder=up.folder)
        return json.loads(output) if status == 0 else None

    # A model on a busy machine may have missed its last synthetic inference; the next one is seconds away.
    findings = eventually_sync(look, within_seconds=60, every_seconds=1)

    verdicts = {finding["subject"]: finding["verdict"] for finding in findings}
    assert {"Stack", "gateway", "publisher", "Models"} <= set(verdicts)
    assert set(verdicts.values()) <= {"ok", "warning"}


def test_a_second_up_on_the_same_folder_says_that_one_is_running(up):
    status, output = finished("up", "--port-base", str(free_base()), folder=up.folder)

    assert status == 1
    assert f"already running on {up.folder}" in output
    assert f"process {up.program.pid}" in output


def test_taken_ports_are_named_with_who_has_them_and_how_to_move(up, tmp_path):
    status, output = finished("up", "--port-base", str(up.base), folder=tmp_path)

    assert status == 1
    assert f"port {up.base} (gateway): python" in output
    assert "--port-base" in output


def test_generate_fetches_pictures_and_a_second_variation_of_that_name_is_refused(up, tmp_path):
    order = ("generate", "A lighthouse in the fog", "--name", "foggy", "--family", "square", "--dx")
    url = {"IMAGETRON_URL": f"http://127.0.0.1:{up.base}"}

    status, output = finished(*order, folder=tmp_path, environment=url)
    again, refusal = finished(*order, folder=tmp_path, environment=url)

    assert status == 0, output
    with Image.open(tmp_path / "out" / "foggy" / "square" / "og-image.webp") as image:
        assert image.size == (1200, 1200)
    assert again == 2
    assert "/name: is taken" in refusal


def test_a_service_that_dies_under_up_is_started_again(up):
    [publisher] = [process for process in naming(str(up.folder)) if b"imagetron_publisher" in _command(process)]

    os.kill(publisher, signal.SIGKILL)

    eventually_sync(lambda: "publisher was ended by SIGKILL; starting it again" in up.log, within_seconds=30)
    eventually_sync(
        lambda: finished("doctor", "--port-base", str(up.base), folder=up.folder)[0] == 0, within_seconds=40
    )


def test_sigterm_stops_everything_and_exits_with_success(tmp_path):
    with imagetron("up", "--port-base", str(free_base()), folder=tmp_path) as program:
        assert program.stdout
        assert any("stack ready in" in line for line in program.stdout), "it ended before it was ready"

        program.terminate()
        output, _ = program.communicate(timeout=60)

    assert program.returncode == 0, output
    assert output.rstrip().endswith("stopped")
    assert naming(str(tmp_path)) == []


def test_the_demo_makes_and_checks_everything(tmp_path):
    status, output = finished("demo", "--port-base", str(free_base()), folder=tmp_path)

    assert status == 0, output
    assert "stack ready in" in output
    assert output.count("FAMILY_COMPLETED") == 8
    assert "every picture says that a model made it" in output
    pictures = [path for path in (tmp_path / "out").rglob("*.*") if path.name != "contact-sheet.png"]
    assert f"All {len(pictures)} pictures" in output
    assert read_by_exiftool(pictures) == {path: {"DigitalSourceType": MADE_BY_A_MODEL} for path in pictures}
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.width > 1000


def _command(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()
