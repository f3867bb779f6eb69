"""The slot for a classifier of outputs: which pictures may leave the server. None is shipped; SDXL_CLASSIFIER names one."""

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

import numpy as np

from .failures import Filtered, Unavailable
from .options import BadOption


class Classifier(Protocol):
    def __call__(self, images: np.ndarray) -> Sequence[bool]:
        """For uint8 [images, height, width, 3], RGB: whether each may be handed out."""


def classifier_from(path: str) -> Classifier | None:
    """An instance of `package.module:Class` or `/a/file.py:Class`, made without arguments; None for an empty path."""
    if not path:
        return None
    module, colon, name = path.rpartition(":")
    if not colon:
        raise BadOption(f"SDXL_CLASSIFIER is {path!r}; it must look like package.module:Class or /a/file.py:Class.")
    try:
        made: Classifier = getattr(_imported(module), name)()
    except (ImportError, AttributeError, OSError) as error:
        raise BadOption(f"SDXL_CLASSIFIER is {path!r}, which cannot be imported: {error}") from error
    return made


def _imported(module: str) -> ModuleType:
    """By name, or from a file: Triton's Python backend does not look at PYTHONPATH."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location("sdxl_classifier", module)
    if spec is None or spec.loader is None:
        raise ImportError(f"{module} is no Python file")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def check(classifier: Classifier | None, images: np.ndarray) -> None:
    """Filtered if one of the images may not leave; Unavailable if the classifier fails: what was not looked at stays here."""
    if classifier is None:
        return
    try:
        allowed = list(classifier(images))
    except Exception as error:  # whatever it raises, the pictures were not checked
        raise Unavailable(f"The classifier of outputs failed ({type(error).__name__}).") from error
    if len(allowed) != len(images):
        raise Unavailable(f"The classifier of outputs gave {len(allowed)} answers for {len(images)} images.")
    if not all(allowed):
        raise Filtered("The classifier of outputs withholds what the model made of this prompt.")
