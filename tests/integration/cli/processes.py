"""Processes told from outside: by what /proc says of them. Zombies count as gone: their parent has only not looked yet."""

from pathlib import Path


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def naming(text: str) -> list[int]:
    """Living processes with this text in their command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if text.encode() in said and is_alive(int(folder.name)):
            found.append(int(folder.name))
    return found
