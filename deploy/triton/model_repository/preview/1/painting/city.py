"""Skylines: blocks of buildings with lit windows, in layers."""

import numpy as np

from .colour import Colour, mixed
from .dice import Dice, random_field
from .noise import smoothstep
from .scene import Scene


def paint_skyline(scene: Scene, layer: int, base: float, *, nearness: float, height: float, lit_share: float) -> None:
    """Buildings from edge to edge, standing on `base`; lower around the subject, so that it stands free."""
    dice = scene.dice.named(f"skyline {layer}")
    unit, canvas = scene.unit, scene.canvas
    colour = scene.land(nearness)
    x = -unit * 0.05
    while x < canvas.width:
        width = unit * dice.between(0.035, 0.085) * (0.8 + 0.5 * nearness)
        away = abs(x + width / 2 - scene.focus_x) / unit
        free = 0.5 + 0.5 * min(1.0, away / 0.32)
        tall = unit * height * (0.3 + 0.7 * dice.unit() * dice.unit() + 0.12 * dice.unit()) * free
        tone = mixed(colour, scene.palette.near, dice.between(0.0, 0.28))
        _building(scene, dice, (x, base, width, tall), tone, lit_share)
        x += width * dice.between(0.82, 1.12)


def _fill(scene: Scene, left: float, top: float, right: float, bottom: float, colours: "tuple[Colour, Colour]") -> None:
    canvas = scene.canvas
    x0, x1 = max(0, int(left)), min(canvas.width, int(right))
    y0, y1 = max(0, int(top)), min(canvas.height, int(bottom))
    if x0 >= x1 or y0 >= y1:
        return
    t = ((np.arange(y0, y1, dtype=np.float32) - int(top)) * (1.0 / max(1.0, bottom - top)))[:, None]
    for plane, a, b in zip(canvas.planes, *colours, strict=True):
        plane[y0:y1, x0:x1] = a + t * (b - a)


def _building(
    scene: Scene, dice: Dice, place: "tuple[float, float, float, float]", tone: Colour, lit_share: float
) -> None:
    x, base, width, tall = place
    palette, unit = scene.palette, scene.unit
    top = base - tall
    foot = mixed(tone, palette.haze, 0.3)
    _fill(scene, x, top, x + width, base, (tone, foot))
    bright = mixed(tone, palette.sun, 0.1 if palette.is_night else 0.24)
    edge = max(2.0, width * 0.16)
    side = x if scene.light < 0 else x + width - edge
    _fill(scene, side, top, side + edge, base, (bright, mixed(bright, palette.haze, 0.3)))
    if dice.chance(0.35):
        inset = width * 0.22
        _fill(scene, x + inset, top - tall * 0.09, x + width - inset, top, (tone, tone))
    if dice.chance(0.18):
        mast = max(1.0, unit * 0.0022)
        _fill(scene, x + width / 2, top - tall * 0.28, x + width / 2 + mast + 1, top, (tone, tone))
    light_windows(scene, dice, (x + width * 0.14, top + unit * 0.012, x + width * 0.86, base - unit * 0.006), lit_share)


def light_windows(scene: Scene, dice: Dice, area: "tuple[float, float, float, float]", lit_share: float) -> None:
    left, top, right, bottom = (int(v) for v in area)
    canvas = scene.canvas
    pitch_x, pitch_y = max(4, int(scene.unit * 0.0105)), max(5, int(scene.unit * 0.0145))
    across, down = (right - left) // pitch_x, (bottom - top) // pitch_y
    key = dice.named(f"windows {left}").key
    if across < 1 or down < 1 or left < 0 or top < 0 or right >= canvas.width or bottom >= canvas.height:
        return
    chance = random_field(key, down, across)
    glow = np.where(chance < lit_share, 0.35 + 0.65 * (chance * (1.0 / lit_share)), 0.0)
    pane = np.zeros((pitch_y, pitch_x), np.float32)
    pane[1 : max(2, pitch_y * 3 // 5), 1 : max(2, pitch_x * 3 // 5)] = 1.0
    canvas.blend(top, left, np.kron(glow, pane).astype(np.float32), scene.palette.lamp)


def paint_city_glow(scene: Scene, base: float) -> None:
    """The warm air above lit streets."""
    canvas = scene.canvas
    first = max(0, int(base - scene.unit * 0.3))
    rows = np.arange(first, min(canvas.height, int(base)), dtype=np.float32)
    rise = smoothstep(base - scene.unit * 0.3, base, rows)[:, None]
    cover = np.repeat(rise * (0.30 if scene.palette.is_night else 0.22), canvas.width, axis=1).astype(np.float32)
    canvas.blend(first, 0, cover, mixed(scene.palette.haze, scene.palette.lamp, 0.35))
