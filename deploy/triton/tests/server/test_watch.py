"""A model whose process dies: what clients hear, and how `watch.py` beside the server brings it back."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonclient.grpc.aio import InferenceServerClient

from support.eventually import eventually
from support.triton import PreviewOrder, RunningTriton, painted, running_triton

from .conftest import LOADS_WITHIN_SECONDS, Client, SdxlOrder, serving, until_ready

WATCH = Path(__file__).parents[2] / "watch.py"
NOTICED = "is dead: loading it anew"


def model_process(server: RunningTriton, name: str) -> int:
    """The process of the model's newest instance: Triton never collects those that died."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == str(server.process.pid) and any(f"/{name}/1/model.py".encode() in part for part in command):
            found.append(int(entry.name))
    return max(found)


def command(server: RunningTriton, *options: str) -> list[str]:
    return [sys.executable, str(WATCH), f"--url=http://127.0.0.1:{server.ports.http}", *options]


@contextmanager
def watching(server: RunningTriton, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command(server, "--interval-seconds=1"), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def answers(server: RunningTriton, model: str) -> bool:
    process = await asyncio.create_subprocess_exec(*command(server, "--once", model))
    return await process.wait() == 0


async def test_a_model_whose_process_is_killed_is_noticed_within_ten_seconds_and_loaded_anew(checkpoints, tmp_path):
    log = tmp_path / "watch.log"
    with serving(checkpoints, {}) as server:
        await until_ready(server)
        async with InferenceServerClient(server.address) as connection:
            client = Client(connection)
            before = await client.make(SdxlOrder())
            under_way = client.stream(SdxlOrder(width=256, height=256, steps=150))
            await anext(aiter(under_way))
            with watching(server, log):
                os.kill(model_process(server, "sdxl"), signal.SIGKILL)

                await eventually(lambda: NOTICED in log.read_text(), within_seconds=10, every_seconds=0.1)
                errors = [error async for _, error in under_way if error is not None]
                await eventually(
                    lambda: "is loaded again" in log.read_text(), within_seconds=LOADS_WITHIN_SECONDS, every_seconds=0.2
                )

            after = await client.make(SdxlOrder())

    assert [str(error.message()) for error in errors] == ["Stub process 'sdxl_0_0' is not healthy."]
    assert after.images.tobytes() == before.images.tobytes()


async def test_a_model_that_dies_again_is_loaded_again(tmp_path):
    log = tmp_path / "watch.log"
    async with running_triton(tmp_path) as server, InferenceServerClient(server.address) as client:
        before = await painted(client, PreviewOrder())
        with watching(server, log):
            for times in (1, 2):
                os.kill(model_process(server, "preview"), signal.SIGKILL)
                await eventually(lambda: log.read_text().count("is loaded again") == times, within_seconds=60)  # noqa: B023
                assert log.read_text().count(NOTICED) == times

        assert (await painted(client, PreviewOrder())).image.tobytes() == before.image.tobytes()


async def test_asked_once_it_says_whether_the_model_answers_and_changes_nothing(tmp_path):
    async with running_triton(tmp_path) as server:
        assert await answers(server, "preview")
        assert not await answers(server, "unknown")

        os.kill(model_process(server, "preview"), signal.SIGKILL)

        for _ in range(5):
            assert not await answers(server, "preview"), "one of two instances is dead"


def test_a_server_that_is_not_there_does_not_answer():
    process = subprocess.run([sys.executable, WATCH, "--url=http://127.0.0.1:9", "--once"], check=False)

    assert process.returncode == 1
