"""Two kinds of tests, as in the folder above: `engine` needs torch (.venv/sdxl), `server` Triton's client (.venv)."""

from importlib.util import find_spec

collect_ignore = [
    *(["engine"] if find_spec("torch") is None else []),
    *(["server"] if find_spec("tritonclient") is None else []),
]
