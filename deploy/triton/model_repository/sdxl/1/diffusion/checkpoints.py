"""The folder of checkpoints: which there are, what is said beside them, how large they are, what identifies their weights.

    <folder>/photorealistic/                diffusers' layout (model_index.json, unet/, vae/, ...)
    <folder>/photorealistic/imagetron.json  settings, may be absent
    <folder>/anime.safetensors              one file
    <folder>/anime.json                     settings; `components` names the folder with tokenizers and configurations

Only safetensors are read: other weight files can run code when they are loaded.
"""

import hashlib
import json
import re
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import torch

from . import schedulers
from .failures import Refused, Unavailable

SUFFIX = ".safetensors"
_PARTS = ("text_encoder", "text_encoder_2", "unet", "vae")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PIPELINES = {"StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"}


@dataclass(frozen=True)
class Settings:
    """What is said beside the weights."""

    scheduler: str = ""
    """The default, a name of schedulers.NAMES. Empty: the one that the checkpoint's own configuration describes."""
    guidance: bool = True
    """False for checkpoints that were distilled to run without (turbo): they refuse GUIDANCE above 1."""
    revision: str = ""
    """Named in the fingerprint. Without it the weights are hashed when they are loaded."""
    variant: str = ""
    """The middle of the weight files' names, `fp16` for `model.fp16.safetensors`."""
    components: str = ""
    """For a single file: the folder (relative to the checkpoints' folder) with tokenizers and configurations."""


@dataclass(frozen=True)
class Checkpoint:
    name: str
    path: Path
    settings: Settings

    @property
    def is_single_file(self) -> bool:
        return self.path.suffix == SUFFIX

    @property
    def components(self) -> Path:
        """The folder with the configurations."""
        return self.path.parent / self.settings.components if self.is_single_file else self.path

    def weight_files(self) -> list[Path]:
        if self.is_single_file:
            return [self.path]
        middle = f".{self.settings.variant}" if self.settings.variant else ""
        found = []
        for part in _PARTS:
            stem = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
            whole = self.path / part / f"{stem}{middle}{SUFFIX}"
            shards = sorted((self.path / part).glob(f"{stem}{middle}-*-of-*{SUFFIX}"))
            if not whole.is_file() and not shards:
                raise Unavailable(
                    f"The checkpoint {self.name} has no {part}/{whole.name}: its folder is incomplete, "
                    "or its settings name another variant."
                )
            found += [whole] if whole.is_file() else shards
        return found

    def size_bytes(self, dtype: torch.dtype) -> int:
        """Of all weights once they are loaded as `dtype`, from the files' headers."""
        return sum(_parameters(file) for file in self.weight_files()) * dtype.itemsize

    @cached_property
    def identity(self) -> str:
        """`<name>@<revision>`. Without a revision all weights are read once and hashed."""
        if self.settings.revision:
            return f"{self.name}@{self.settings.revision}"
        digest = hashlib.sha256()
        for file in self.weight_files():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return f"{self.name}@sha256:{digest.hexdigest()[:16]}"


class Catalogue:
    """What the folder holds now: a checkpoint that is mounted later is found later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[tuple[int, ...], Checkpoint]] = {}

    def names(self) -> list[str]:
        """Those that look complete enough to try, in alphabetical order."""
        if not self._folder.is_dir():
            return []
        folders = [entry.parent.name for entry in self._folder.glob("*/model_index.json")]
        files = [entry.stem for entry in self._folder.glob(f"*{SUFFIX}") if entry.with_suffix(".json").is_file()]
        return sorted(folders + files)

    def find(self, name: str) -> Checkpoint:
        """Refused for what is no name, Unavailable for what is not there or cannot be understood."""
        if not _NAME.fullmatch(name):
            raise Refused(
                f"CHECKPOINT is {name[:80]!r}; a name has up to 64 letters, digits, dots, dashes, underscores."
            )
        folder, file = self._folder / name, self._folder / f"{name}{SUFFIX}"
        if (folder / "model_index.json").is_file():
            return self._described(name, folder, folder / "imagetron.json")
        if file.is_file():
            return self._described(name, file, file.with_suffix(".json"))
        there = ", ".join(self.names()) or "none"
        raise Unavailable(f"The checkpoint {name} is not on this server; there are: {there}.")

    def _described(self, name: str, path: Path, beside: Path) -> Checkpoint:
        # A cached identity is worth seconds of hashing, and holds as long as the folder is the same one.
        facts = [path.stat(), *([beside.stat()] if beside.is_file() else [])]
        state = tuple(number for fact in facts for number in (fact.st_ino, fact.st_mtime_ns, fact.st_size))
        known = self._known.get(name)
        if known is not None and known[0] == state:
            return known[1]
        checkpoint = Checkpoint(name, path, _settings(name, beside))
        _check_kind(checkpoint)
        self._known[name] = (state, checkpoint)
        return checkpoint


def _settings(name: str, file: Path) -> Settings:
    try:
        said = json.loads(file.read_text()) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise Unavailable(f"The settings of the checkpoint {name} ({file.name}) cannot be read: {error}.") from error
    known = {field.name: type(field.default) for field in fields(Settings)}
    if not isinstance(said, dict) or any(not isinstance(said[key], known.get(key, ())) for key in said):
        allowed = ", ".join(f"{key} ({kind.__name__})" for key, kind in known.items())
        raise Unavailable(f"The settings of the checkpoint {name} ({file.name}) may say {allowed}, and nothing else.")
    settings = Settings(**said)
    try:
        schedulers.check(settings.scheduler)
    except Refused as refusal:
        raise Unavailable(f"The settings of the checkpoint {name} ({file.name}): {refusal}") from refusal
    return settings


def _check_kind(checkpoint: Checkpoint) -> None:
    index = checkpoint.components / "model_index.json"
    if checkpoint.is_single_file and not (checkpoint.settings.components and index.is_file()):
        raise Unavailable(
            f"The checkpoint {checkpoint.name} is a single file: {checkpoint.name}.json beside it must name, as "
            "`components`, a folder with tokenizers and configurations."
        )
    try:
        kind = json.loads(index.read_text()).get("_class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise Unavailable(f"The model_index.json of the checkpoint {checkpoint.name} cannot be read.") from error
    if kind not in _PIPELINES:
        raise Unavailable(f"The checkpoint {checkpoint.name} is a {kind}, no Stable Diffusion XL.")


def _parameters(file: Path) -> int:
    """How many numbers a safetensors file holds: 8 bytes with the length of its header, then the header as JSON."""
    with file.open("rb") as opened:
        header: dict[str, Any] = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
