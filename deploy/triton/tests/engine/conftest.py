"""Tiny checkpoints with random weights, and engines on them: real classes on the CPU, no Triton, no network."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[4]
# As Triton does: the model's folder is on the path, and is not a package of ours.
sys.path.insert(0, str(ROOT / "deploy" / "triton" / "model_repository" / "sdxl" / "1"))

from diffusion import Catalogue, Engine, EngineOptions, Order  # noqa: E402 found by the line above


def _script():
    spec = importlib.util.spec_from_file_location("make_tiny_sdxl", ROOT / "scripts" / "make_tiny_sdxl.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make():
    return _script()


@pytest.fixture(scope="session")
def checkpoints(make, tmp_path_factory) -> Path:
    """The folder of `one` and `two`, which differ in their weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed, name in enumerate(("one", "two"), start=1):
        torch.manual_seed(seed)
        make.tiny_pipeline().save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="session")
def new_engine(checkpoints):
    def new(classifier=None, folder=checkpoints, **options) -> Engine:
        given = {"device": "cpu", "threads": 1, "warm_up_sizes": ((64, 64),), "warm_up_steps": 1} | options
        return Engine(Catalogue(folder), EngineOptions(**given), classifier)

    return new


@pytest.fixture(scope="session")
def engine(new_engine) -> Engine:
    """One that tests share: they leave no hooks on it and do not ask what is in memory."""
    return new_engine()


@pytest.fixture(scope="session")
def an_order():
    def build(prompt="a sailing boat at sunset", **changes) -> Order:
        values = {"checkpoint": "one", "seeds": (7,), "width": 96, "height": 64, "steps": 6, "guidance": 7.0} | changes
        return Order(prompt=prompt, **values)

    return build
