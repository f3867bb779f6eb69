"""The network that most published super-resolution weights are for: residual-in-residual dense blocks.

Wang et al., ESRGAN (2018), section 3.1, in the form of Real-ESRGAN (Wang et al. 2021), whose names of parameters it has:
x4 reads the picture itself, x2 the picture with 2x2 pixels folded into channels.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Conv2d, Module, Sequential
from torch.nn.functional import interpolate, leaky_relu, pixel_unshuffle

RGB = 3
# The papers' constants: how much of a block's result is added, and the slope of the rectifier below zero.
_RESIDUAL = 0.2
_SLOPE = 0.2
_UPSAMPLED = 4
_FOLDS = {RGB: 1, RGB * 4: 2}


class NotRRDB(ValueError):
    """The tensors are not those of this network; the message says which are amiss."""


class _DenseBlock(Module):
    """Five convolutions, each of which reads the block's input and what all before it made."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 5):
            self.add_module(f"conv{number}", _conv(features + (number - 1) * growth, growth))
        self.conv5 = _conv(features + 4 * growth, features)

    def forward(self, given: Tensor) -> Tensor:
        known = given
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            known = torch.cat([known, leaky_relu(conv(known), _SLOPE)], dim=1)
        return given + _RESIDUAL * self.conv5(known)


class _Block(Module):
    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = _DenseBlock(features, growth)
        self.rdb2 = _DenseBlock(features, growth)
        self.rdb3 = _DenseBlock(features, growth)

    def forward(self, given: Tensor) -> Tensor:
        return given + _RESIDUAL * self.rdb3(self.rdb2(self.rdb1(given)))


class RRDBNet(Module):
    """[n, 3, height, width] to [n, 3, 4 / fold * height, 4 / fold * width]; sides need not be multiples of `fold`."""

    def __init__(self, *, fold: int, blocks: int, features: int, growth: int) -> None:
        super().__init__()
        self._fold = fold
        self.conv_first = _conv(RGB * fold**2, features)
        self.body = Sequential(*(_Block(features, growth) for _ in range(blocks)))
        self.conv_body = _conv(features, features)
        self.conv_up1 = _conv(features, features)
        self.conv_up2 = _conv(features, features)
        self.conv_hr = _conv(features, features)
        self.conv_last = _conv(features, RGB)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "RRDBNet":
        """The network of these sizes with these tensors. Raises NotRRDB."""
        blocks = [int(found[1]) for name in tensors if (found := re.match(r"body\.(\d+)\.", name))]
        try:
            features, channels = tensors["conv_first.weight"].shape[:2]
            growth = tensors["body.0.rdb1.conv1.weight"].shape[0]
            fold = _FOLDS[channels]
        except (KeyError, ValueError, IndexError) as error:
            raise NotRRDB(f"they are not those of an RRDBNet (Real-ESRGAN x2 or x4): {error} is missing.") from error
        made = cls(fold=fold, blocks=max(blocks) + 1, features=features, growth=growth)
        try:
            made.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise NotRRDB(f"they look like those of an RRDBNet and do not fit one: {error}") from error
        return made

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        given = self.conv_first(pixel_unshuffle(self._even(picture), self._fold))
        deep = given + self.conv_body(self.body(given))
        for conv in (self.conv_up1, self.conv_up2):
            deep = leaky_relu(conv(interpolate(deep, scale_factor=2, mode="nearest")), _SLOPE)
        result: Tensor = self.conv_last(leaky_relu(self.conv_hr(deep), _SLOPE))
        factor = _UPSAMPLED // self._fold
        return result[..., : height * factor, : width * factor]

    def _even(self, picture: Tensor) -> Tensor:
        """Odd sides are completed by their last row or column, and what comes of it is cut off."""
        if self._fold == 1:
            return picture
        height, width = picture.shape[-2:]
        return torch.nn.functional.pad(picture, (0, width % 2, 0, height % 2), mode="replicate")


def _conv(channels: int, features: int) -> Conv2d:
    return Conv2d(channels, features, 3, padding=1)
