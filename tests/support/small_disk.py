"""A disk of 16 MB that a test may fill. It is memory; making one takes the rights of root."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_SIZE = "16m"
_BLOCK = bytes(64 * 1024)


class SmallDisk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / ".ballast"

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Until not a byte more fits, but for those to be left."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while os.write(descriptor, _BLOCK):
                pass
        except OSError:
            pass  # full
        finally:
            os.close(descriptor)
        if leave_bytes:
            os.truncate(self._ballast, self._ballast.stat().st_size - leave_bytes)

    def make_room(self) -> None:
        self._ballast.unlink()

    @property
    def free_bytes(self) -> int:
        space = os.statvfs(self.path)
        return space.f_bavail * space.f_frsize


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Ask for it before whatever uses it, so that it is taken away after."""
    path = tmp_path / "disk"
    path.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(path)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {getattr(error, 'stderr', b'').decode().strip() or error}")
    try:
        yield SmallDisk(path)
    finally:
        # Lazily: whoever still has a file open there must not keep the mount for ever.
        subprocess.run(["umount", "--lazy", str(path)], check=True)
