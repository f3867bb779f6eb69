"""The subjects that stand on land or water or hang in the air: one function each, drawn with a pen of the subject's size.

A subject's origin is where it touches the ground; it is about one unit high. Living ones and plants live in living.py.
"""

from .colour import Colour, mixed, scaled
from .dice import Dice
from .figure import Figure
from .palettes import Palette

INK: Colour = (0.012, 0.012, 0.02)
# Every subject is drawn as lit from its left; the scene turns it over when the sun stands on the right.
LIT = -1


def turned(colour: Colour, palette: Palette, depth: float = 0.5) -> tuple[Colour, Colour]:
    """A colour as it turns from the lit side to the shaded one."""
    bright = mixed(colour, palette.sun, 0.08)
    dark = mixed(colour, palette.near, depth)
    return bright, dark


def _bulge(a: tuple[float, float], b: tuple[float, float], by: float) -> list[tuple[float, float]]:
    """A quarter-bow from a to b."""
    points = []
    for i in range(9):
        t = i / 8
        swell = 4 * t * (1 - t) * by
        points.append((a[0] + (b[0] - a[0]) * t + swell, a[1] + (b[1] - a[1]) * t + abs(swell) * 0.35))
    return points


def boat(pen: Figure, palette: Palette, dice: Dice) -> None:
    hull = mixed(palette.near, INK, 0.4)
    main, jib = palette.paper, palette.accent
    if dice.chance(0.35):
        main, jib = jib, main
    pen.limb((0.03, 0.08), (0.035, 1.0), 0.011, 0.006, hull)
    pen.polygon(
        [(0.015, 0.97), *_bulge((0.015, 0.97), (-0.40, 0.155), -0.085), (0.015, 0.135)], turned(main, palette, 0.36)
    )
    for height in (0.36, 0.56, 0.75):
        pen.limb(
            (-0.31 * (1.05 - height) * 1.45, height),
            (0.012, height - 0.02),
            0.0025,
            0.0025,
            mixed(main, palette.near, 0.4),
        )
    pen.polygon([(0.065, 0.88), *_bulge((0.065, 0.88), (0.47, 0.15), 0.05), (0.07, 0.15)], turned(jib, palette, 0.42))
    pen.polygon(((0.035, 1.0), (0.17, 0.972), (0.035, 0.945)), palette.accent)
    pen.limb((-0.42, 0.15), (0.03, 0.125), 0.008, 0.008, hull)
    pen.polygon(
        ((-0.45, 0.115), (-0.30, 0.10), (0.2, 0.10), (0.53, 0.135), (0.38, -0.03), (0.30, -0.055), (-0.34, -0.055)),
        turned(hull, palette, 0.3),
    )
    pen.polygon(
        ((-0.445, 0.108), (0.2, 0.085), (0.52, 0.128), (0.50, 0.098), (0.2, 0.06), (-0.43, 0.08)), palette.second
    )


def lighthouse(pen: Figure, palette: Palette, dice: Dice) -> None:
    rock = mixed(palette.near, palette.far, 0.16)
    wall = turned(palette.paper, palette, 0.42)
    band = turned(palette.accent, palette, 0.45)
    dark = mixed(palette.near, INK, 0.3)
    pen.polygon(
        (
            (-0.64, -0.015),
            (-0.52, 0.03),
            (-0.37, 0.045),
            (-0.3, 0.095),
            (-0.2, 0.13),
            (0.16, 0.14),
            (0.4, 0.12),
            (0.45, 0.06),
            (0.56, 0.04),
            (0.68, -0.015),
        ),
        turned(rock, palette, 0.55),
    )
    pen.polygon(((0.1, 0.12), (0.34, 0.12), (0.34, 0.225), (0.1, 0.225)), turned(palette.paper, palette, 0.5))
    pen.polygon(((0.08, 0.22), (0.37, 0.22), (0.31, 0.3), (0.1, 0.3)), turned(palette.accent, palette, 0.5))
    pen.box(0.2, 0.15, 0.245, 0.2, palette.lamp)
    foot, head, low, high = 0.105, 0.066, 0.12, 0.76
    pen.lathe(((low, foot), (high, head)), wall)
    bands = dice.whole(2, 3)
    for i in range(bands):
        a = low + (high - low) * (2 * i + 1) / (2 * bands + 0.6)
        b = low + (high - low) * (2 * i + 2) / (2 * bands + 0.6)
        width = [foot + (head - foot) * (y - low) / (high - low) for y in (a, b)]
        pen.lathe(((a, width[0]), (b, width[1])), band)
    for y in (0.28, 0.5, 0.66):
        pen.box(-0.012, y, 0.014, y + 0.038, dark)
    pen.box(-0.1, 0.755, 0.1, 0.782, dark)
    for i in range(-4, 5):
        pen.limb((i * 0.0235, 0.78), (i * 0.0235, 0.82), 0.002, 0.002, dark)
    pen.limb((-0.098, 0.822), (0.098, 0.822), 0.003, 0.003, dark)
    pen.box(-0.05, 0.782, 0.05, 0.885, palette.lamp)
    for x in (-0.05, -0.018, 0.018, 0.05):
        pen.limb((x, 0.782), (x, 0.885), 0.004, 0.004, dark)
    pen.lathe(((0.88, 0.066), (0.915, 0.056), (0.945, 0.028), (0.962, 0.008)), band)
    pen.limb((0, 0.95), (0, 1.0), 0.004, 0.002, dark)
    pen.glow(0, 0.835, 0.42 if palette.is_night else 0.2, scaled(palette.lamp, 0.6))


def balloon(pen: Figure, palette: Palette, dice: Dice) -> None:
    envelope = (
        (0.235, 0.085),
        (0.3, 0.15),
        (0.38, 0.222),
        (0.47, 0.285),
        (0.56, 0.325),
        (0.645, 0.341),
        (0.73, 0.333),
        (0.81, 0.302),
        (0.88, 0.248),
        (0.935, 0.182),
        (0.975, 0.108),
        (0.994, 0.05),
        (1.0, 0.0),
    )
    colours = (palette.accent, palette.paper) if dice.chance(0.6) else (palette.accent, palette.second)
    dark = mixed(palette.near, INK, 0.3)
    for i, share in enumerate((1.0, 0.86, 0.64, 0.385, 0.13)):
        pen.lathe(envelope, turned(colours[i % 2], palette, 0.4), share=share)
    pen.lathe(
        tuple((y, w + 0.002) for y, w in envelope[5:7]),
        turned(palette.second if colours[1] != palette.second else palette.paper, palette, 0.42),
    )
    pen.box(-0.085, 0.222, 0.085, 0.24, dark)
    for x in (-1, 1):
        pen.limb((x * 0.08, 0.225), (x * 0.05, 0.1), 0.003, 0.003, dark)
        pen.limb((x * 0.03, 0.225), (x * 0.02, 0.1), 0.002, 0.002, dark)
    pen.polygon(
        ((-0.056, 0.105), (0.056, 0.105), (0.046, 0.0), (-0.046, 0.0)),
        turned(mixed(palette.second, palette.near, 0.55), palette, 0.5),
    )
    pen.box(-0.062, 0.095, 0.062, 0.112, dark)
    pen.glow(0, 0.3, 0.28, scaled(palette.lamp, 0.4 if palette.is_night else 0.12))


def house(pen: Figure, palette: Palette, _dice: Dice) -> None:
    wall = turned(mixed(palette.paper, palette.second, 0.12), palette, 0.36)
    roof = turned(palette.accent, palette, 0.5)
    dark = mixed(palette.near, INK, 0.25)
    for i, (x, y, r) in enumerate(((0.30, 1.0, 0.045), (0.35, 1.09, 0.06), (0.43, 1.18, 0.075), (0.54, 1.25, 0.09))):
        pen.thinned(0.5 - i * 0.1).ellipse(x, y, r * 1.25, r, palette.cloud_lit)
    pen.box(0.245, 0.66, 0.345, 0.95, turned(mixed(palette.accent, palette.near, 0.45), palette, 0.5))
    pen.box(0.23, 0.93, 0.36, 0.965, dark)
    pen.box(-0.5, -0.02, 0.5, 0.45, wall)
    pen.polygon(((-0.6, 0.42), (0.6, 0.42), (0.36, 0.84), (-0.36, 0.84)), roof)
    pen.polygon(((-0.6, 0.42), (0.6, 0.42), (0.595, 0.398), (-0.595, 0.398)), dark)
    pen.box(-0.09, -0.02, 0.09, 0.29, turned(mixed(palette.second, palette.near, 0.55), palette, 0.3))
    pen.ellipse(0.06, 0.13, 0.012, 0.012, palette.lamp)
    for x in (-0.31, 0.31):
        pen.box(x - 0.092, 0.108, x + 0.092, 0.292, dark)
        pen.box(x - 0.078, 0.122, x + 0.078, 0.278, palette.lamp)
        pen.box(x - 0.006, 0.12, x + 0.006, 0.28, dark)
        pen.box(x - 0.08, 0.194, x + 0.08, 0.206, dark)
        pen.glow(x, 0.2, 0.3, scaled(palette.lamp, 0.34 if palette.is_night else 0.08))
    pen.box(-0.52, -0.06, 0.52, 0.0, turned(dark, palette, 0.2))


def stones(pen: Figure, palette: Palette, dice: Dice) -> None:
    rock = turned(mixed(palette.paper, palette.near, 0.58), palette, 0.72)
    tilt = dice.between(-0.02, 0.02)
    pen.polygon(
        ((-0.40, -0.04), (-0.395, 0.4), (-0.36 + tilt, 0.73), (-0.20 + tilt, 0.74), (-0.15, 0.36), (-0.14, -0.04)), rock
    )
    pen.polygon(
        ((0.15, -0.04), (0.17, 0.42), (0.20 + tilt, 0.745), (0.36 + tilt, 0.73), (0.39, 0.36), (0.42, -0.04)), rock
    )
    pen.polygon(
        (
            (-0.5, 0.73),
            (-0.47, 0.9),
            (-0.42, 0.945),
            (0.38, 0.965),
            (0.46, 0.93),
            (0.49, 0.755),
            (0.3, 0.74),
            (-0.3, 0.715),
        ),
        rock,
    )
    crack = mixed(palette.near, INK, 0.3)
    for a, b in (
        ((-0.28, 0.55), (-0.25, 0.32)),
        ((0.27, 0.6), (0.30, 0.44)),
        ((0.1, 0.93), (0.06, 0.84)),
        ((-0.3, 0.9), (-0.27, 0.8)),
    ):
        pen.limb(a, b, 0.006, 0.002, crack)
    moss = mixed(palette.second, palette.near, 0.35)
    for x, y in ((-0.44, 0.94), (-0.36, 0.955), (0.25, 0.972), (0.33, 0.965), (-0.3, 0.958)):
        pen.ellipse(x, y, 0.05, 0.016, moss)


def tower(pen: Figure, palette: Palette, dice: Dice) -> None:
    body = turned(mixed(palette.paper, palette.far, 0.22), palette, 0.66)
    trim = turned(palette.accent, palette, 0.45)
    dark = mixed(palette.near, INK, 0.2)
    floors = ((0.115, -0.02, 0.52), (0.092, 0.52, 0.68), (0.068, 0.68, 0.79), (0.045, 0.79, 0.85))
    for half, low, high in floors:
        pen.box(-half, low, half, high, body)
        pen.box(-half - 0.008, high - 0.006, half + 0.008, high + 0.008, trim)
    pen.lathe(((0.855, 0.042), (0.88, 0.034), (0.92, 0.016), (0.96, 0.006)), trim)
    pen.limb((0, 0.94), (0, 1.1), 0.005, 0.002, dark)
    for half, low, high in floors[:3]:
        columns = max(3, int(half * 2 / 0.034))
        for row in range(int((high - low - 0.02) / 0.027)):
            for column in range(columns):
                x = -half + (column + 0.5) * 2 * half / columns
                y = low + 0.012 + row * 0.027
                is_lit = dice.chance(0.62 if palette.is_night else 0.36)
                pen.box(x - 0.008, y, x + 0.008, y + 0.017, palette.lamp if is_lit else dark)
    pen.glow(0, 1.1, 0.07, scaled(palette.accent, 0.5))
    if palette.is_night:
        pen.glow(0, 0.5, 0.5, scaled(palette.lamp, 0.1))


def orbs(pen: Figure, palette: Palette, dice: Dice) -> None:
    """A ringed sphere with two smaller ones: the subject of an abstract picture."""
    pen.glow(0, 0.5, 0.85, scaled(palette.glow, 0.2))
    tilt = dice.between(0.10, 0.22) * dice.sign()
    ring = [(0.62 * _COSINES[i], 0.5 + 0.15 * _COSINES[(i + 18) % 24] + tilt * _COSINES[i]) for i in range(25 - 1)]
    back, front = ring[:13], [*ring[12:], ring[0]]
    pen.curve(back, 0.016, 0.016, palette.second)
    pen.ellipse(0, 0.5, 0.36, 0.36, turned(palette.accent, palette, 0.62))
    pen.ellipse(0.1 * LIT, 0.6, 0.2, 0.2, turned(mixed(palette.accent, palette.sun, 0.18), palette, 0.3))
    pen.curve(front, 0.016, 0.016, palette.second)
    pen.ellipse(-0.42 * LIT, 0.16, 0.1, 0.1, turned(palette.paper, palette, 0.6))
    pen.ellipse(0.46 * LIT, 0.9, 0.06, 0.06, turned(palette.second, palette, 0.6))


# cos(15 degrees * i): written out because a library's cosine may differ in its last bit.
_QUARTER = (1.0, 0.9659258263, 0.8660254038, 0.7071067812, 0.5, 0.2588190451, 0.0)
_COSINES = tuple(
    (_QUARTER[i] if i <= 6 else -_QUARTER[12 - i] if i <= 12 else -_QUARTER[i - 12] if i <= 18 else _QUARTER[24 - i])  # noqa: PLR2004
    for i in range(24)
)
