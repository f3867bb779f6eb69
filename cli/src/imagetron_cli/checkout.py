"""Where the files are that the embedded stack needs and no package carries: the model repository, the environments."""

import sys
from pathlib import Path

from imagetron_cli.errors import Trouble

_MODELS = Path("deploy/triton/model_repository")


def checkout(start: Path | None = None) -> Path:
    """The folder of the checkout that this package runs from. Raises Trouble outside of one."""
    here = (start or Path(__file__)).resolve()
    for folder in here.parents:
        if (folder / _MODELS).is_dir():
            return folder
    raise Trouble(
        f"{here} is not inside a checkout of Imagetron: the embedded stack runs from one (`make setup` there)"
    )


def model_repository(root: Path) -> Path:
    return root / _MODELS


def triton_environment() -> Path:
    """Setup puts Triton's environment inside ours."""
    return Path(sys.prefix) / "triton"
