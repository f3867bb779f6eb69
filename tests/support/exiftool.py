"""What a stranger finds in a file: metadata as ExifTool reads it, which shares no line of code with us."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

MADE_BY_A_MODEL: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def read_by_exiftool(files: Iterable[Path]) -> dict[Path, dict[str, Any]]:
    """Every property of each file's XMP, by its name."""
    paths = [str(path) for path in files]
    # -n: values as they are written.
    command = ["exiftool", "-json", "-n", "-XMP:all", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exiftool (Debian: libimage-exiftool-perl): {done.stderr}"
    found = json.loads(done.stdout)
    return {Path(file.pop("SourceFile")): file for file in found}
