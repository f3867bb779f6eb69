"""Subjects that live: trees, flowers, cacti, people, cats. Same convention as subjects.py."""

from .colour import Colour, mixed, scaled
from .dice import Dice
from .figure import Figure
from .palettes import Palette
from .subjects import INK, LIT, turned

# Unit vectors every 1/16 of a turn, written out because a library's sine may differ in its last bit.
_ROUND = tuple(
    (x, y)
    for x, y in (
        (1.0, 0.0), (0.9239, 0.3827), (0.7071, 0.7071), (0.3827, 0.9239), (0.0, 1.0), (-0.3827, 0.9239),
        (-0.7071, 0.7071), (-0.9239, 0.3827), (-1.0, 0.0), (-0.9239, -0.3827), (-0.7071, -0.7071), (-0.3827, -0.9239),
        (0.0, -1.0), (0.3827, -0.9239), (0.7071, -0.7071), (0.9239, -0.3827),
    )
)  # fmt: skip


LEAF: Colour = (0.14, 0.30, 0.07)


def tree(pen: Figure, palette: Palette, dice: Dice) -> None:
    bark = mixed(palette.near, INK, 0.35)
    crown = dice.pick((palette.accent, palette.accent, palette.second, mixed(LEAF, palette.second, 0.2)))
    pen.polygon(
        (
            (-0.12, -0.012),
            (-0.05, 0.02),
            (-0.032, 0.14),
            (-0.03, 0.46),
            (0.022, 0.46),
            (0.028, 0.14),
            (0.05, 0.02),
            (0.13, -0.012),
        ),
        turned(mixed(bark, palette.far, 0.18), palette, 0.8),
    )
    for x, y in ((-0.26, 0.6), (0.27, 0.62), (-0.12, 0.72), (0.13, 0.75)):
        pen.limb((0.0, 0.32 + 0.1 * abs(x)), (x, y), 0.024, 0.008, bark)
    leaves = []
    for _ in range(120):
        ring, reach = _ROUND[dice.whole(0, 15)], 1 - dice.unit() * dice.unit()
        flat = 0.235 if ring[1] > 0 else 0.17
        leaves.append((ring[0] * 0.345 * reach, 0.68 + ring[1] * flat * reach, dice.between(0.032, 0.068)))
    dark = mixed(crown, palette.near, 0.62)
    pen.ellipse(0, 0.69, 0.29, 0.18, dark)
    for x, y, r in leaves:
        pen.ellipse(x - 0.018 * LIT, y - 0.024, r, r * 0.92, dark)
    # Each tone covers less than the one below it and sits closer to the light: that is the crown's roundness.
    for tone, count, shrink, shift in (
        (mixed(crown, palette.near, 0.3), 104, 0.86, 0.010),
        (crown, 92, 0.62, 0.024),
        (mixed(crown, palette.sun, 0.3), 84, 0.4, 0.036),
    ):
        for x, y, r in leaves[:count]:
            if x * LIT + (y - 0.68) * 1.2 > (shrink < 0.7) * (0.86 - shrink) * 0.42 - 0.2:  # noqa: PLR2004 bright tones face the sun
                pen.ellipse(x + shift * LIT, y + shift, r * shrink, r * shrink * 0.8, tone)


def flower(pen: Figure, palette: Palette, dice: Dice) -> None:
    green = mixed(mixed((0.05, 0.19, 0.06), palette.near, 0.3), palette.far, 0.1)
    pen.curve([(0.0, -0.1), (0.02, 0.15), (0.012, 0.4), (0.0, 0.66)], 0.02, 0.014, green)
    for side, y in ((-1, 0.14), (1, 0.27)):
        tip = (side * 0.30, y + 0.17)
        pen.polygon(
            ((0.015, y), (side * 0.10, y + 0.13), tip, (side * 0.20, y + 0.035)),
            turned(mixed(green, palette.sun, 0.14), palette, 0.35),
        )
        pen.limb((0.015, y), tip, 0.004, 0.002, mixed(green, palette.near, 0.5))
    petal = palette.accent if dice.chance(0.6) else palette.second
    centre = palette.second if petal is palette.accent else mixed(palette.near, palette.accent, 0.3)
    for i, (x, y) in enumerate(_ROUND):
        tone = mixed(petal, palette.near, 0.36 if i % 2 else 0.28)
        pen.limb((x * 0.08, 0.7 + y * 0.08), (x * 0.262, 0.7 + y * 0.262), 0.03, 0.042, tone)
    for i, (x, y) in enumerate(_ROUND):
        if i % 2 == 0:
            tone = mixed(petal, palette.sun, 0.16 + 0.12 * x * LIT)
            pen.limb((x * 0.06, 0.7 + y * 0.06), (x * 0.215, 0.7 + y * 0.215), 0.034, 0.055, tone)
    pen.ellipse(0, 0.7, 0.098, 0.098, turned(centre, palette, 0.45))
    for ring in (0.042, 0.074):
        for i, (x, y) in enumerate(_ROUND):
            if i % 2 == (ring > 0.05):  # noqa: PLR2004 every other seed on each ring
                pen.ellipse(x * ring, 0.7 + y * ring, 0.009, 0.009, mixed(centre, palette.near, 0.6))


def cactus(pen: Figure, palette: Palette, dice: Dice) -> None:
    green = mixed(mixed((0.05, 0.2, 0.11), palette.accent, 0.3), palette.near, 0.12)
    skin = turned(green, palette, 0.6)
    side = dice.sign()
    for s, low, high in ((side, 0.34, 0.74), (-side, 0.46, 0.82)):
        pen.limb((0, low), (s * 0.24, low + 0.01), 0.058, 0.058, skin)
        pen.limb((s * 0.24, low + 0.01), (s * 0.245, high), 0.058, 0.052, skin)
    pen.polygon(((-0.085, 0.0), (0.085, 0.0), (0.08, 0.3), (-0.08, 0.3)), skin)
    pen.limb((0, 0.085), (0, 0.92), 0.085, 0.072, skin)
    rib = mixed(green, palette.near, 0.55)
    for x in (-0.045, -0.015, 0.018, 0.048):
        pen.limb((x, 0.02), (x * 0.85, 0.94), 0.003, 0.003, rib)
    for s, low, high in ((side, 0.40, 0.74), (-side, 0.52, 0.82)):
        for x in (-0.018, 0.018):
            pen.limb((s * 0.243 + x, low), (s * 0.246 + x, high), 0.002, 0.002, rib)
    for x, y in ((0.0, 1.0), (-0.04, 0.985), (0.04, 0.985), (side * 0.245, 0.8), (-side * 0.245, 0.88)):
        pen.ellipse(x, y, 0.03, 0.026, palette.second)


def person(pen: Figure, palette: Palette, _dice: Dice) -> None:
    """A wanderer seen from behind: coat, scarf in the wind, staff."""
    dark = mixed(palette.near, INK, 0.45)
    coat = turned(palette.accent, palette, 0.5)
    for x in (-0.065, 0.06):
        pen.limb((x * 0.8, 0.36), (x, 0.02), 0.05, 0.036, dark)
        pen.limb((x, 0.015), (x + 0.03 * LIT, 0.01), 0.034, 0.028, dark)
    pen.polygon(
        (
            (-0.125, 0.76),
            (0.125, 0.76),
            (0.155, 0.5),
            (0.2, 0.235),
            (0.06, 0.215),
            (0.0, 0.24),
            (-0.08, 0.21),
            (-0.2, 0.245),
            (-0.155, 0.5),
        ),
        coat,
    )
    pen.limb((-0.115, 0.735), (-0.165, 0.47), 0.048, 0.036, coat)
    pen.limb((0.115, 0.735), (0.215, 0.56), 0.048, 0.034, coat)
    pen.limb((0.215, 0.56), (0.275, 0.62), 0.034, 0.028, coat)
    pen.limb((0.30, 0.0), (0.272, 0.86), 0.011, 0.008, dark)
    pen.ellipse(0.28, 0.625, 0.03, 0.03, mixed(palette.paper, palette.second, 0.4))
    pen.limb((-0.06, 0.8), (0.06, 0.8), 0.042, 0.042, palette.second)
    pen.curve([(-0.05, 0.79), (-0.2, 0.83), (-0.31, 0.77), (-0.43, 0.8)], 0.034, 0.018, palette.second)
    pen.ellipse(0, 0.89, 0.075, 0.085, mixed(palette.near, palette.second, 0.25))
    pen.ellipse(0, 0.925, 0.15, 0.026, dark)
    pen.lathe(((0.925, 0.085), (0.98, 0.078), (1.005, 0.06), (1.015, 0.02)), dark)
    pen.lathe(((0.928, 0.086), (0.948, 0.084)), palette.accent)


def cat(pen: Figure, palette: Palette, dice: Dice) -> None:
    """Sitting, with its tail laid around, and eyes that glow."""
    fur = palette.second if dice.chance(0.5) and not palette.is_night else palette.paper
    coat, shade = turned(fur, palette, 0.5), mixed(fur, palette.near, 0.45)
    dark = mixed(palette.near, INK, 0.4)
    pen.curve(
        [(0.18, 0.05), (0.34, 0.045), (0.43, 0.11), (0.44, 0.22), (0.38, 0.28)],
        0.05,
        0.028,
        mixed(fur, palette.near, 0.3),
    )
    pen.lathe(((0.0, 0.225), (0.08, 0.25), (0.2, 0.238), (0.34, 0.19), (0.48, 0.145), (0.6, 0.13), (0.68, 0.1)), coat)
    for side in (-1, 1):
        pen.polygon(
            ((side * 0.175, 0.74), (side * 0.185, 0.985), (side * 0.03, 0.885)),
            mixed(fur, palette.near, 0.22 if side == LIT else 0.4),
        )
        pen.polygon(
            ((side * 0.15, 0.79), (side * 0.165, 0.93), (side * 0.07, 0.87)), mixed(palette.accent, palette.paper, 0.45)
        )
    pen.ellipse(0, 0.765, 0.195, 0.162, coat)
    for side in (-1, 1):
        pen.ellipse(side * 0.085, 0.785, 0.042, 0.036, dark)
        pen.ellipse(side * 0.085, 0.785, 0.036, 0.03, palette.lamp)
        pen.ellipse(side * 0.085, 0.785, 0.010, 0.028, dark)
        pen.limb((side * 0.02, 0.695), (side * 0.06, 0.685), 0.005, 0.003, dark)
        for lift in (-0.015, 0.015):
            pen.limb((side * 0.08, 0.71 + lift * 0.4), (side * 0.25, 0.715 + lift * 2), 0.003, 0.001, dark)
        pen.limb(
            (side * 0.07, 0.34),
            (side * 0.075, 0.04),
            0.046,
            0.042,
            mixed(fur, palette.near, 0.1 if side == LIT else 0.3),
        )
        pen.ellipse(side * 0.08, 0.018, 0.066, 0.034, mixed(fur, palette.sun, 0.15))
    for y in (0.93, 0.9, 0.87):
        pen.limb((-0.03, y - 0.02), (0.03, y - 0.02), 0.006, 0.006, shade)
    pen.polygon(((-0.022, 0.735), (0.022, 0.735), (0.0, 0.708)), palette.accent)
    pen.box(-0.125, 0.575, 0.125, 0.61, palette.accent)
    pen.ellipse(0, 0.57, 0.028, 0.028, palette.lamp)
    if palette.is_night:
        pen.glow(0, 0.785, 0.3, scaled(palette.lamp, 0.12))
