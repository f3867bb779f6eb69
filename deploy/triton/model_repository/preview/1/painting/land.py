"""Mountains, hills, dunes, pines, grass: land in layers, hazier the further away."""

import numpy as np

from .canvas import Canvas
from .colour import Colour, mixed
from .dice import Dice
from .figure import Figure
from .noise import enlarged, fbm, profile, smoothed, smoothstep, value_noise
from .scene import Scene

SNOW_SUN: Colour = (0.94, 0.95, 0.97)


def _strip(scene: Scene, crest: np.ndarray, foot: float) -> "tuple[int, np.ndarray, np.ndarray] | None":
    """The rows that the land below `crest` touches, their depth below it, and its antialiased cover."""
    first = max(0, int(crest.min()) - 1)
    last = min(scene.canvas.height, int(foot) + 1)
    if first >= last:
        return None
    rows = np.arange(first, last, dtype=np.float32)[:, None] + 0.5
    depth = rows - crest[None, :]
    slope = np.zeros_like(crest)
    slope[1:-1] = (crest[2:] - crest[:-2]) * 0.5
    cover = np.clip(depth * (1.0 / np.sqrt(1.0 + slope * slope))[None, :] + 0.5, 0.0, 1.0)
    return first, depth, cover


def paint_hill(
    scene: Scene, crest: np.ndarray, foot: float, top: Colour, bottom: Colour, fade: float, grain: "Dice | None" = None
) -> None:
    """One layer that turns from `top` to `bottom` over `fade` pixels below its crest; `grain` strews soft streaks."""
    strip = _strip(scene, crest, foot)
    if strip is None:
        return
    first, depth, cover = strip
    t = depth * (1.0 / fade)
    if grain is not None:
        rows = np.sqrt(np.arange(depth.shape[0], dtype=np.float32) * (1.0 / scene.unit)) * 34.0
        t += (value_noise(grain, rows, scene.columns() * 6.5) - 0.5) * 0.42
    t = np.clip(t, 0.0, 1.0)
    scene.canvas.blend(first, 0, cover, [t * (b - a) + a for a, b in zip(top, bottom, strict=True)])


def hill_crest(scene: Scene, dice: Dice, base: float, rise: float, waves: float, octaves: int = 3) -> np.ndarray:
    return base - rise * scene.unit * profile(dice, scene.columns() * waves + 0.5, octaves, 0.42)


def mountain_crest(scene: Scene, dice: Dice, base: float, rise: float, peak_x: float) -> np.ndarray:
    """A ridge line with one peak above the others."""
    x = scene.columns()
    line = profile(dice.named("ridge"), x * 2.3, 8, 0.5, ridged=True)
    away = np.abs(x - peak_x / scene.unit)
    peak = np.maximum(1.0 - away * 2.1, 0.0)
    height = line * (0.52 + 0.3 * peak) + 0.42 * peak * (0.7 + 0.3 * peak)
    return base - rise * scene.unit * height


def paint_mountains(
    scene: Scene, dice: Dice, crest: np.ndarray, foot: float, *, nearness: float, snow: float, tint: "Colour | None"
) -> None:
    """Ridges with a sunny and a shaded side: the slope of the crest carries down the flank, torn by noise."""
    strip = _strip(scene, crest, foot)
    if strip is None:
        return
    first, depth, cover = strip
    height, width = depth.shape
    half_height, half_width = -(-height // 2), -(-width // 2)
    small = depth[::2, ::2]
    y = np.arange(half_height, dtype=np.float32) * (2.0 / scene.unit)
    x = np.arange(half_width, dtype=np.float32) * (2.0 / scene.unit)
    torn = fbm(dice.named("torn"), y * 9, x * 13, 4, 0.55) - 0.5
    fine, coarse = (smoothed(crest, int(scene.unit * r)) for r in (0.006, 0.045))
    slopes = np.stack([np.gradient(line) for line in (fine, coarse)]).astype(np.float32) * scene.light
    wander = torn * (0.05 * scene.unit) - small * (0.20 * scene.light)
    column = np.clip(np.arange(half_width, dtype=np.float32)[None, :] * 2 + wander, 0, width - 1).astype(np.int32)
    blend = np.clip(small * (7.0 / scene.unit), 0.0, 1.0)
    slope = np.take(slopes[0], column)
    slope += blend * (np.take(slopes[1], column) - slope)
    field = enlarged(slope * 0.9 + torn * 1.5, height, width)
    lit = smoothstep(-0.10, 0.16, field)
    shade = scene.land(nearness, tint)
    sunny = mixed(shade, scene.palette.sun, 0.16 if scene.palette.is_night else 0.34)
    drop = depth * (1.0 / scene.unit)
    mist = np.clip(drop * 1.9 - 0.16, 0.0, 0.8)
    ink = [lit * (b - a) + a for a, b in zip(shade, sunny, strict=True)]
    if snow > 0:
        line = enlarged(torn * 0.34, height, width) - drop
        white = smoothstep(-snow, -snow + 0.03, line)
        dim = 0.25 if scene.palette.is_night else 1.0
        cold = mixed(mixed(scene.palette.cloud_shade, scene.palette.far, 0.4), SNOW_SUN, 0.25 * dim)
        warm = mixed(SNOW_SUN, scene.palette.sun, 0.4)
        if scene.palette.is_night:
            warm = mixed(warm, scene.palette.far, 0.45)
        ink = [c + white * (lit * (w - k) + k - c) for c, k, w in zip(ink, cold, warm, strict=True)]
    ink = [c + mist * (h - c) for c, h in zip(ink, scene.palette.haze, strict=True)]
    scene.canvas.blend(first, 0, cover, ink)


def paint_dunes(scene: Scene, dice: Dice, base: float, rise: float, nearness: float, tint: Colour) -> None:
    """A dune's crest parts the lit flank from the shaded one by a crisp winding line."""
    x = scene.columns()
    peak = dice.between(0.12, 0.88) * scene.canvas.width / scene.unit
    flank = np.maximum(1.0 - np.abs(x - peak) * np.where((x - peak) * scene.light > 0, 1.15, 1.9), 0.0)
    rolling = profile(dice.named("crest"), x * 1.1 + 0.3, 2, 0.35)
    crest = (base - rise * scene.unit * (0.36 * rolling + 0.8 * flank * (0.55 + 0.45 * flank))).astype(np.float32)
    strip = _strip(scene, crest, scene.canvas.height)
    if strip is None:
        return
    first, depth, cover = strip
    # The line leaves the crest and swings away from the sun on its way down.
    rows = np.arange(depth.shape[0], dtype=np.float32) * (1.0 / scene.unit)
    swing = profile(dice.named("swing"), rows * 3.1, 1, 0.4)
    edge = peak - scene.light * (rows * 0.75 + 0.5 * (swing - swing[0]))
    side = (x[None, :] - edge[:, None]) * (scene.light * scene.unit)
    lit = np.clip(side * (1.0 / (1.0 + rows * 60.0))[:, None] + 0.5, 0.0, 1.0)
    colour = scene.land(nearness, tint, 0.75)
    shade = mixed(colour, scene.palette.near, 0.38)
    sunny = mixed(colour, scene.palette.sun, 0.1 if scene.palette.is_night else 0.34)
    fall = np.clip(depth * (2.0 / scene.unit), 0.0, 1.0)
    low = mixed(sunny, shade, 0.4)
    ink = [a + lit * ((b + fall * (c - b)) - a) for a, b, c in zip(shade, sunny, low, strict=True)]
    scene.canvas.blend(first, 0, cover, ink)


def paint_pine(canvas: Canvas, x: float, base: float, height: float, colour: Colour, dice: Dice) -> None:
    """A conifer: tiers of drooping branches, wider towards the ground."""
    spread = height * dice.between(0.2, 0.27)
    tiers = dice.whole(7, 10)
    # Every tier and side grows a little differently.
    growth = np.array([[dice.between(0.78, 1.12) for _ in range(tiers + 1)] for _ in range(2)], np.float32)
    left, right = max(0, int(x - spread * 1.3)), min(canvas.width, int(x + spread * 1.3) + 2)
    top, bottom = max(0, int(base - height) - 1), min(canvas.height, int(base + spread * 0.3) + 1)
    if left >= right or top >= bottom:
        return
    across = np.arange(left, right, dtype=np.float32)[None, :] + (0.5 - x)
    away = np.abs(across)
    up = np.arange(top, bottom, dtype=np.float32)[:, None] + (0.5 - base + height)
    tier = (up - away * 0.42) * (tiers / (height * 0.93))
    number = np.floor(np.clip(tier, 0.0, tiers - 0.001))
    part = tier - number
    side = np.where(across < 0, 0, tiers + 1)
    reach = (
        spread
        * (1.0 / tiers)
        * (number * 0.80 + part * 1.42)
        * np.take(growth.reshape(-1), number.astype(np.int32) + side)
    )
    cover = np.clip(reach - away + 0.5, 0.0, 1.0) * np.clip((tiers - tier) * (height / tiers) + 0.5, 0.0, 1.0)
    cover *= tier > 0
    trunk = np.clip(height * 0.018 - away + 0.5, 0.0, 1.0) * ((up > height * 0.5) & (up < height))
    canvas.blend(top, left, np.maximum(cover, trunk).astype(np.float32), colour)


def paint_pines(
    scene: Scene, dice: Dice, crest: np.ndarray, *, count: int, height: float, colour: Colour, clearing: float = 0.0
) -> None:
    """Pines along a crest, in groups; a clearing keeps the subject free."""
    for _ in range(count):
        x = dice.unit() * scene.canvas.width
        tall = scene.unit * height * dice.between(0.45, 1.0)
        if abs(x - scene.focus_x) < clearing * scene.unit:
            continue
        base = float(crest[min(int(x), scene.canvas.width - 1)]) + tall * 0.06
        paint_pine(scene.canvas, x, base, tall, mixed(colour, scene.palette.far, dice.between(0.0, 0.16)), dice)


def paint_bushes(scene: Scene, dice: Dice, crest: np.ndarray, *, count: int, size: float, colour: Colour) -> None:
    """Round trees in small groups along a crest, lit from the sun's side."""
    bright = mixed(colour, scene.palette.sun, 0.22)
    for _ in range(count):
        x, tall = dice.unit() * scene.canvas.width, scene.unit * size * dice.between(0.5, 1.0)
        for _ in range(dice.whole(1, 4)):
            x += tall * dice.between(0.5, 0.95)
            y = float(crest[min(int(x), scene.canvas.width - 1)])
            pen = Figure(scene.canvas, x, y + tall * 0.08, tall * dice.between(0.7, 1.05))
            pen.limb((0, 0), (0, 0.5), 0.05, 0.04, mixed(colour, scene.palette.near, 0.6))
            pen.ellipse(0, 0.58, 0.33, 0.42, mixed(colour, scene.palette.near, 0.25))
            pen.ellipse(0.07 * scene.light, 0.63, 0.24, 0.33, colour)
            pen.ellipse(0.12 * scene.light, 0.71, 0.13, 0.18, bright)


def paint_grass(
    scene: Scene, dice: Dice, crest: np.ndarray, *, count: int, height: float, colours: "tuple[Colour, ...]"
) -> None:
    for _ in range(count):
        x = dice.unit() * scene.canvas.width
        y = float(crest[min(int(x), scene.canvas.width - 1)])
        lean, tall = dice.between(-0.45, 0.45), scene.unit * height * dice.between(0.4, 1.0)
        pen = Figure(scene.canvas, x, y + 0.1 * tall, tall)
        pen.limb((0, 0), (lean * 0.35, 0.55), 0.03, 0.02, colours[int(dice.unit() * len(colours))])
        pen.limb((lean * 0.35, 0.55), (lean, 1.0), 0.02, 0.003, colours[int(dice.unit() * len(colours))])


def paint_blossoms(
    scene: Scene, dice: Dice, top: float, bottom: float, *, count: int, colours: "tuple[Colour, ...]"
) -> None:
    """Dots of flowers in a meadow, larger the nearer they are."""
    for _ in range(count):
        share = dice.unit()
        y = top + (bottom - top) * share
        size = scene.unit * (0.0022 + 0.0085 * share) * dice.between(0.7, 1.3)
        pen = Figure(scene.canvas, dice.unit() * scene.canvas.width, y, size)
        pen.ellipse(0, 0, 1, 0.72, dice.pick(colours))
