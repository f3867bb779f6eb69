"""Water: the scene above the horizon mirrored, broken by ripples, with the sun's path on it."""

import numpy as np

from .colour import mixed
from .noise import fbm, smoothstep, value_noise
from .scene import Scene


def _perspective(scene: Scene, depth: np.ndarray) -> np.ndarray:
    """Rows in ripples: many per pixel at the horizon, few at our feet."""
    return np.sqrt(depth * (1.0 / scene.unit)) * 46.0


def paint_water(scene: Scene) -> None:
    canvas, palette = scene.canvas, scene.palette
    first = int(scene.horizon)
    depth = np.arange(canvas.height - first, dtype=np.float32)
    if not depth.size:
        return
    dice = scene.dice.named("water")
    x = scene.columns()
    ripple = fbm(dice.named("ripple"), _perspective(scene, depth), x * 7.0, 2) - 0.5
    amount = (depth * 0.16 + scene.unit * 0.004)[:, None]
    row = np.clip(first - 1 - depth[:, None] * 0.94 + ripple * amount, 0, first - 1).astype(np.int32)
    column = np.arange(canvas.width, dtype=np.float32)[None, :] + ripple * amount * 0.55
    index = row * canvas.width + np.clip(column, 0, canvas.width - 1).astype(np.int32)
    deep = mixed(mixed(palette.sky[1], palette.near, 0.5), palette.sky[0], 0.25)
    tint = (0.16 + 0.5 * np.clip(depth * (1.2 / scene.unit), 0.0, 1.0))[:, None]
    streak = value_noise(dice.named("streak"), _perspective(scene, depth) * 1.7, x * 9.0)
    dark = smoothstep(0.55, 0.85, streak) * 0.16
    tint = np.minimum(tint + dark, 0.9)
    for plane, ink in zip(canvas.planes, deep, strict=True):
        mirrored = np.take(plane[:first].reshape(-1), index)
        mirrored += tint * (ink - mirrored)
        plane[first:] = mirrored


def paint_sun_path(scene: Scene, strength: float) -> None:
    canvas = scene.canvas
    first = int(scene.horizon) + 1
    depth = np.arange(canvas.height - first, dtype=np.float32)
    if not depth.size:
        return
    dice = scene.dice.named("path")
    x = scene.columns()
    glints = value_noise(dice, _perspective(scene, depth) * 2.6, x * 17.0)
    away = np.abs(x - scene.sun_x / scene.unit)[None, :]
    width = (0.045 + 0.16 * depth * (1.0 / scene.unit))[:, None]
    near = np.maximum(1.0 - away / width, 0.0)
    light = smoothstep(0.78, 0.98, glints + near * 0.42) * smoothstep(0.0, 0.35, near)
    light *= strength * (1.0 - 0.55 * np.clip(depth * (1.6 / scene.unit), 0.0, 1.0))[:, None]
    canvas.blend(first, 0, light.astype(np.float32), scene.palette.sun)


def paint_ripples(scene: Scene, batch: int, calm_below: float) -> None:
    """Short bright strokes on the water, in perspective."""
    canvas, dice = scene.canvas, scene.dice.named(f"ripples {batch}")
    light = mixed(scene.palette.haze, scene.palette.sun, 0.4)
    shade = mixed(scene.palette.sky[0], scene.palette.near, 0.3)
    span = max(1.0, min(calm_below, canvas.height) - scene.horizon)
    for _ in range(60):
        share = dice.unit() * dice.unit()
        y = int(scene.horizon + 3 + span * share)
        length = int(scene.unit * (0.012 + 0.11 * share) * dice.between(0.5, 1.3)) + 2
        x = int(dice.between(-0.05, 1.0) * canvas.width)
        colour = light if dice.chance(0.6) else shade
        opacity = dice.between(0.1, 0.38)
        left, right = max(0, x), min(canvas.width, x + length)
        thick = max(1, int(scene.unit * 0.0035 * share + 0.7))
        if left >= right or y + thick >= canvas.height:
            continue
        t = (np.arange(left, right, dtype=np.float32) + (0.5 - x)) * (2.0 / length) - 1.0
        taper = (1.0 - t * t) * opacity
        canvas.blend(y, left, np.repeat(taper[None, :], thick, axis=0).astype(np.float32), colour)
