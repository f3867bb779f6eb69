"""Tiny super-resolution networks for the tests, as files: `python networks.py FOLDER`."""

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Conv2d, Module
from torch.nn.functional import interpolate, pad


class Enlarging(Module):
    """Every pixel twice as wide and high, then a blur of 5x5 and a mixture of the colours: it looks two pixels far.

    It fails for views of more than 128 pixels a side, as for want of memory, so that tests can tell how large they were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blur = Conv2d(3, 3, 5, padding=2, groups=3)
        self.mix = Conv2d(3, 3, 1)

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        if max(height, width) > 128:
            raise RuntimeError("the view is too large")
        return self.mix(self.blur(interpolate(picture, scale_factor=2.0, mode="nearest")))


class Flat(Module):
    def forward(self, picture: Tensor) -> Tensor:
        return pad(picture, [1, 1, 1, 1])


def enlarging() -> Module:
    torch.manual_seed(1)
    network = Enlarging()
    # So that most values stay between black and white, and errors show.
    network.blur.weight.data = torch.rand_like(network.blur.weight) / 25
    network.mix.weight.data = torch.eye(3)[:, :, None, None] * 0.8 + 0.05
    return network.eval()


def write(folder: Path) -> None:
    torch.jit.script(enlarging()).save(str(folder / "twice.pt"))
    torch.jit.script(Flat()).save(str(folder / "flat.pt"))
    (folder / "words.pt").write_text("no network")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
