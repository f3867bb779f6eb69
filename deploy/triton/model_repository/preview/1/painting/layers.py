"""The building blocks of every place: a layer, and the layers that several places share."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import land, living, subjects, water
from .colour import Colour, mixed
from .dice import Dice
from .figure import Figure
from .reading import ALOFT, Wish
from .scene import Scene

GREEN: Colour = (0.13, 0.30, 0.05)
PINE: Colour = (0.035, 0.12, 0.085)
SAND: Colour = (0.62, 0.30, 0.12)
SNOW: Colour = (0.78, 0.86, 0.93)
ROCK: Colour = (0.20, 0.19, 0.24)

_DRAW = {
    "boat": (subjects.boat, 0.46), "lighthouse": (subjects.lighthouse, 0.60), "balloon": (subjects.balloon, 0.46),
    "tree": (living.tree, 0.56), "house": (subjects.house, 0.30), "stones": (subjects.stones, 0.32),
    "flower": (living.flower, 0.66), "cactus": (living.cactus, 0.44), "person": (living.person, 0.38),
    "cat": (living.cat, 0.40), "tower": (subjects.tower, 0.62), "orbs": (subjects.orbs, 0.52),
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One painter's pass, and the touches that further steps may add to it."""

    name: str
    paint: Callable[[], None]
    touches: tuple[Callable[[], None], ...] = field(default=())


def subject_layer(scene: Scene, wish: Wish, ground: float, *, mirrored: bool = False) -> Layer:
    """The subject on `ground`; over water with its mirror image first, thinned by the ripples."""
    draw, size = _DRAW[wish.subject]
    dice = scene.dice.named("subject " + wish.subject)
    size *= scene.unit * dice.between(0.94, 1.06)
    if wish.subject in ALOFT:
        ground = max(min(scene.canvas.height * 0.36 + size * 0.55, scene.horizon - size * 0.04), size * 1.07)
    # Nothing is cut off by the upper edge: a tower with its mast is 1.1 high.
    size = min(size, (ground - 0.04 * scene.canvas.height) / 1.1)

    def paint() -> None:
        key = dice.named("draw")
        if mirrored and wish.subject not in ALOFT:
            image = Figure(scene.canvas, scene.focus_x, ground, size, mirrored=True, opacity=0.42, lean=-scene.light)
            draw(image, wish.palette, Dice(key.key))
        pen = Figure(scene.canvas, scene.focus_x, ground, size, lean=-scene.light)
        if casts_shadow:
            for wide, opacity in ((0.30, 0.16), (0.24, 0.2), (0.17, 0.3)):
                pen.thinned(opacity).ellipse(wide * 0.55, -0.012, wide * broad, 0.075 * wide, wish.palette.near)
        draw(pen, wish.palette, Dice(key.key))

    casts_shadow = not mirrored and wish.subject not in (*ALOFT, "tower", "flower")
    broad = 2.1 if wish.subject in ("house", "stones") else 1.35
    return Layer("subject", paint)


def ground_at(scene: Scene, crest: np.ndarray, sink: float = 0.006) -> float:
    return float(crest[min(int(scene.focus_x), scene.canvas.width - 1)]) + sink * scene.unit


def levelled(scene: Scene, crest: np.ndarray, reach: float = 0.2) -> np.ndarray:
    """The crest with a flat place around the subject, so that nothing hangs over a slope."""
    away = np.abs(scene.columns() - scene.focus_x / scene.unit) * (1.0 / reach)
    t = np.clip(away - 0.45, 0.0, 1.0)
    t = t * t * (3.0 - 2.0 * t)
    level = float(crest[min(int(scene.focus_x), scene.canvas.width - 1)])
    return (crest - level) * t + level


def range_layers(scene: Scene, dice: Dice, snow: float, tint: Colour) -> list[Layer]:
    canvas, unit = scene.canvas, scene.unit
    peak = scene.focus_x + (canvas.width / 2 - scene.focus_x) * dice.between(0.9, 2.3)
    reach = min(1.0, scene.horizon / (0.62 * unit))

    def range_layer(name: str, rise: float, nearness: float, cap: float, x: float) -> Layer:
        own = dice.named(name)
        crest = land.mountain_crest(scene, own, scene.horizon + 0.03 * unit, rise * reach, x)
        return Layer(
            name,
            lambda: land.paint_mountains(
                scene, own, crest, scene.horizon + 0.16 * unit, nearness=nearness, snow=cap, tint=tint
            ),
        )

    return [
        range_layer("far range", dice.between(0.34, 0.42), 0.06, snow * 0.9, canvas.width - peak),
        range_layer("range", dice.between(0.44, 0.54), 0.36, snow, peak),
    ]


def hill_layer(scene: Scene, crest: np.ndarray, nearness: float, tint: Colour) -> Layer:
    share = 0.9 if tint is SNOW else 0.8
    top = mixed(scene.land(nearness, tint, share), scene.palette.sun, 0.10)
    bottom = mixed(scene.land(nearness, tint, share), scene.palette.near, 0.25 if tint is SNOW else 0.42)
    grain = scene.dice.named(f"hill {nearness}")
    return Layer(
        "hill", lambda: land.paint_hill(scene, crest, scene.canvas.height, top, bottom, 0.24 * scene.unit, grain)
    )


def pine_hill_layer(
    scene: Scene,
    wish: Wish,
    dice: Dice,
    base: float,
    rise: float,
    nearness: float,
    tint: Colour,
    *,
    count: int,
    height: float,
) -> Layer:
    crest = land.hill_crest(scene, dice, base, rise, 1.5)
    colour = scene.land(nearness, PINE, 0.6)
    top = colour if tint is not SNOW else scene.land(nearness, tint, 0.85)
    bottom = mixed(top, scene.palette.haze, 0.4)
    wooded = wish.has("pines", otherwise=True)

    def paint() -> None:
        if wooded:
            land.paint_pines(scene, dice.named("pines"), crest, count=count, height=height, colour=colour)
        land.paint_hill(scene, crest, scene.canvas.height, top, bottom, 0.12 * scene.unit)

    return Layer("slope", paint)


def foreground_layers(scene: Scene, wish: Wish, dice: Dice, tint: Colour) -> list[Layer]:
    """The nearest, darkest rise, lowest under the subject; grass and framing pines grow on it."""
    canvas, unit = scene.canvas, scene.unit
    own = dice.named("foreground")
    away = np.abs(scene.columns() - scene.focus_x / unit)
    crest = land.hill_crest(scene, own, canvas.height * 0.985, 0.06, 1.3) - 0.075 * unit * np.clip(
        away * 1.1 - 0.15, 0.0, 1.0
    )
    colour = mixed(scene.land(1.0, tint, 0.8 if tint is SNOW else 0.3), scene.palette.near, 0.35)
    bottom = mixed(colour, scene.palette.near, 0.5)
    blades = (colour, mixed(colour, scene.palette.far, 0.25), mixed(colour, tint, 0.3))
    has_grass = tint is not SNOW and wish.has("grass", otherwise=True)
    frame_x = canvas.width * (0.04 if scene.focus_x > canvas.width / 2 else 0.96)
    side = 1 if frame_x < canvas.width / 2 else -1
    has_frame = wish.has("pines", otherwise=wish.place != "meadow") and own.chance(0.75)

    def paint() -> None:
        if has_frame:
            pines = own.named("frame")
            for i in range(4):
                x = frame_x + side * unit * (0.085 * i + pines.between(-0.02, 0.02))
                tall = unit * (0.52 - 0.11 * i) * pines.between(0.85, 1.1)
                land.paint_pine(
                    canvas, x, float(crest[int(max(0, min(x, canvas.width - 1)))]) + 0.03 * unit, tall, colour, pines
                )
        land.paint_hill(scene, crest, canvas.height, colour, bottom, 0.1 * unit)

    def grow(batch: int) -> None:
        land.paint_grass(scene, own.named(f"grass {batch}"), crest, count=110, height=0.045, colours=blades)

    touches = tuple(lambda b=b: grow(b) for b in (0, 1)) if has_grass else ()
    return [Layer("foreground", paint, touches)]


def water_layers(scene: Scene, bottom: float) -> list[Layer]:
    def paint() -> None:
        water.paint_water(scene)
        water.paint_sun_path(scene, 0.55 if scene.palette.is_night else 0.85)

    touches = tuple(lambda b=b: water.paint_ripples(scene, b, bottom) for b in (1, 2, 3))
    return [Layer("water", paint), Layer("ripples", lambda: water.paint_ripples(scene, 0, bottom), touches)]


def shore_layer(scene: Scene, wish: Wish, dice: Dice, tint: Colour) -> Layer:
    return foreground_layers(scene, wish, dice, tint)[0]
