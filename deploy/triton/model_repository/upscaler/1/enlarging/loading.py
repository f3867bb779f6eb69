"""From a file of weights to an Enlarger: which network it is, how many times it enlarges, what identifies it."""

import hashlib
import platform
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn import Module

from .enlarger import RGB, Enlarger, Network
from .rrdb import NotRRDB, RRDBNet
from .settings import BadSetting, Settings

# Part of every fingerprint: raise it with every change that moves a pixel.
VERSION = "1"
SAFETENSORS = ".safetensors"
# Even and large enough for networks that fold pixels into channels.
_PROBE = 32


def load(settings: Settings) -> Enlarger:
    """Ready to work: the network has enlarged a probe. BadSetting, with the file's name, for what cannot be used."""
    file = settings.weights
    if not file.is_file():
        raise BadSetting(f"UPSCALER_WEIGHTS is {str(file)!r}, and there is no such file.")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device, dtype = settings.torch_device, settings.torch_dtype
    network = _known(file) if file.suffix == SAFETENSORS else _scripted(file)
    network = network.eval().to(device, dtype)
    on = torch.cuda.get_device_name(device).replace(" ", "-") if device.type == "cuda" else platform.machine()
    spoken = str(dtype).removeprefix("torch.")
    return Enlarger(
        network,
        factor=_factor(file, network, device, dtype),
        # Where the tiles lie can change a pixel too, when a network sees further than the overlap.
        fingerprint=f"upscaler-{VERSION} {file.stem}@sha256:{_digest(file)} torch-{torch.__version__} {device.type} "
        f"{spoken} tile-{settings.tile_pixels}+{settings.overlap} {on}",
        device=device,
        dtype=dtype,
        tile=settings.tile_pixels,
        overlap=settings.overlap,
    )


def _known(file: Path) -> Module:
    try:
        return RRDBNet.of(load_file(file))
    except (SafetensorError, NotRRDB, OSError) as error:
        raise BadSetting(f"The weights {file.name} cannot be used: {error}") from error


def _scripted(file: Path) -> Module:
    """TorchScript is a program: mount only files whose origin is known."""
    try:
        # On the CPU first, whatever device it was saved from.
        return torch.jit.load(file, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise BadSetting(
            f"The weights {file.name} are neither TorchScript nor named *{SAFETENSORS}; other files are not read."
        ) from error


@torch.inference_mode()
def _factor(file: Path, network: Network, device: torch.device, dtype: torch.dtype) -> int:
    probe = torch.full((1, RGB, _PROBE, _PROBE), 0.5, device=device, dtype=dtype)
    try:
        shape = tuple(network(probe).shape)
    except RuntimeError as error:
        raise BadSetting(
            f"The network in {file.name} does not take a picture of shape {list(probe.shape)} ({type(error).__name__})."
        ) from error
    factor = shape[-1] // _PROBE
    if shape != (1, RGB, _PROBE * factor, _PROBE * factor) or factor < 2:  # noqa: PLR2004 1 would be no enlarging
        raise BadSetting(
            f"The network in {file.name} makes {list(shape)} of {list(probe.shape)}; it must enlarge both sides by one "
            "whole factor of 2 or more."
        )
    return factor


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:16]
