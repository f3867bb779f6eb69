"""Colours: hex in, OKLab to mix, linear light to paint in, sRGB out. Which colours a scene uses lives in palettes.py."""

import numpy as np

Colour = tuple[float, float, float]  # linear light, 0..1

LEVELS = 4096


def _to_linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 sRGB's own constants


def _to_srgb(value: float) -> float:
    return value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055  # noqa: PLR2004 as above


def from_hex(text: str) -> Colour:
    red, green, blue = (_to_linear(int(text[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return red, green, blue


def to_oklab(colour: Colour) -> Colour:
    red, green, blue = colour
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lightness, a, b):  # noqa: ANN001, ANN202 floats or arrays alike
    long = lightness + 0.3963377774 * a + 0.2158037573 * b
    medium = lightness - 0.1055613458 * a - 0.0638541728 * b
    short = lightness - 0.0894841775 * a - 1.2914855480 * b
    long, medium, short = long * long * long, medium * medium * medium, short * short * short
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first, mixed as the eye does."""
    one, two = to_oklab(first), to_oklab(second)
    red, green, blue = _from_oklab(*(x + (y - x) * share for x, y in zip(one, two, strict=True)))
    return max(0.0, red), max(0.0, green), max(0.0, blue)


def scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def gradient(stops: tuple[tuple[float, Colour], ...], position: np.ndarray) -> np.ndarray:
    """Colours (3, n) along `stops` (position, colour), eased at every stop so that no stop shows as a band."""
    labs = [to_oklab(colour) for _, colour in stops]
    channels = [np.full_like(position, labs[0][axis]) for axis in range(3)]
    for (low, _), (high, _), before, after in zip(stops, stops[1:], labs, labs[1:], strict=False):
        t = np.clip((position - low) * (1.0 / (high - low)), 0.0, 1.0)
        t = t * 0.5 + t * t * (3.0 - 2.0 * t) * 0.5
        for axis in range(3):
            channels[axis] += t * (after[axis] - before[axis])
    return np.maximum(np.stack(_from_oklab(*channels)), 0.0).astype(np.float32)


def display_table(contrast: float) -> np.ndarray:
    """From the square root of linear light (0..LEVELS-1) to sRGB (0..255 with fraction), with an S-curve in between."""
    table = []
    for level in range(LEVELS):
        value = _to_srgb((level / (LEVELS - 1)) ** 2)
        value += contrast * (value * value * (3 - 2 * value) - value)
        table.append(255 * min(1.0, max(0.0, value)))
    return np.array(table, dtype=np.float32)
