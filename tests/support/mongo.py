"""A MongoDB for tests: the one that MONGO_URL names, else a private nx-27017 (the wire protocol over SQLite)."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from support.eventually import eventually_sync
from support.ports import free_port


@dataclass(frozen=True)
class MongoServer:
    """`is_real` is false for the stand-in, which knows only part of what MongoDB promises."""

    url: str
    is_real: bool


@contextmanager
def running_mongo(folder: Path) -> Iterator[MongoServer]:
    """A server for the time of the block; the stand-in keeps its files in `folder`."""
    if url := os.environ.get("MONGO_URL"):
        yield MongoServer(url, is_real=True)
        return
    with running_nx(folder, free_port()) as server:
        yield server


@contextmanager
def running_nx(folder: Path, port: int) -> Iterator[MongoServer]:
    command = [sys.executable, "-c", "from nx_27017.nx_27017 import main; main()", "--data-dir", "memory"]
    files = ["--log-file", str(folder / "nx.log"), "--pid-file", str(folder / "nx.pid")]
    with (folder / "nx.out").open("wb") as output:
        process = subprocess.Popen(
            [*command, *files, "--host", "127.0.0.1", "-p", str(port)],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually_sync(lambda: _answers(port) or process.poll() is not None, within_seconds=30)
        assert process.poll() is None, (folder / "nx.out").read_text()
        yield MongoServer(f"mongodb://127.0.0.1:{port}", is_real=False)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def drop_database(server: MongoServer, name: str) -> None:
    """Leave nothing behind in a MongoDB that outlives the tests."""
    if server.is_real:
        with MongoClient[dict[str, Any]](server.url) as client:
            client.drop_database(name)
