"""Everything above the horizon: the gradient, the light in it, stars, aurora, clouds, birds."""

import numpy as np

from .colour import gradient, mixed, scaled
from .figure import Figure
from .noise import enlarged, fbm, profile, smoothstep, value_noise
from .scene import Scene


def paint_sky(scene: Scene) -> None:
    canvas, palette = scene.canvas, scene.palette
    rows = (np.arange(canvas.height, dtype=np.float32) + 0.5) * (1.0 / scene.horizon)
    stops = tuple(zip((0.0, 0.36, 0.74, 1.0), palette.sky, strict=True))
    canvas.planes[:] = gradient(stops, rows)[:, :, None]
    # Everything as smooth as this glow is computed at a quarter of the resolution.
    height, width = -(-canvas.height // 4), -(-canvas.width // 4)
    x = (np.arange(width, dtype=np.float32)[None, :] * 4 + 2 - scene.sun_x) * (1.0 / scene.unit)
    y = (np.arange(height, dtype=np.float32)[:, None] * 4 + 2 - scene.sun_y) * (1.0 / scene.unit)
    distance = x * x * 0.8 + y * y
    wide, close = 1.0 / (1.0 + distance * 9.0), 1.0 / (1.0 + distance * 70.0)
    strength = (0.30, 0.30) if palette.is_night else (0.55, 0.42)
    light = enlarged(wide * wide * strength[0] + close * close * strength[1], canvas.height, canvas.width)
    canvas.blend(0, 0, light, palette.glow)


def paint_sun(scene: Scene) -> None:
    palette = scene.palette
    dice = scene.dice.named("sun")
    radius = scene.unit * dice.between(0.055, 0.075 if palette.is_night else 0.115)
    pen = Figure(scene.canvas, scene.sun_x, scene.sun_y, radius)
    pen.glow(0, 0, 3.4, scaled(palette.glow, 0.28))
    pen.ellipse(0, 0, 1, 1, palette.sun)
    if palette.is_night:
        shade = Figure(scene.canvas, scene.sun_x, scene.sun_y, radius, opacity=0.22)
        for x, y, size in ((-0.3, 0.28, 0.3), (0.22, 0.42, 0.17), (0.3, -0.18, 0.26), (-0.28, -0.4, 0.16)):
            shade.ellipse(x, y, size, size * 0.86, palette.glow)


def paint_stars(scene: Scene, batch: int) -> None:
    canvas = scene.canvas
    dice = scene.dice.named(f"stars {batch}")
    scale = max(1.0, scene.unit / 900)
    for _ in range(90):
        x, y = dice.unit() * canvas.width, scene.horizon * (dice.unit() * dice.unit() * 0.9 + 0.005)
        brightness = dice.unit()
        size = scale * (0.75 + 1.0 * brightness * brightness * brightness)
        pen = Figure(canvas, x, y, size, opacity=0.25 + 0.75 * brightness)
        pen.ellipse(0, 0, 1, 1, scene.palette.sun)
        if brightness > 0.97:  # noqa: PLR2004 one star in thirty sparkles
            pen.glow(0, 0, 7, scaled(scene.palette.glow, 0.3))


def paint_aurora(scene: Scene) -> None:
    canvas, dice = scene.canvas, scene.dice.named("aurora")
    height, width = int(scene.horizon) // 2, -(-canvas.width // 2)
    x = (np.arange(width, dtype=np.float32) * 2 + 1) * (1.0 / scene.unit)
    y = ((np.arange(height, dtype=np.float32) * 2 + 1) * (1.0 / scene.horizon))[:, None]
    for curtain, colour in enumerate(((0.02, 0.62, 0.34), (0.03, 0.5, 0.48), (0.34, 0.12, 0.55))):
        line = dice.named(str(curtain))
        foot = 0.86 - 0.16 * curtain - 0.42 * profile(line.named("foot"), x * 1.6, 3)
        rays = 0.35 + 0.65 * profile(line.named("rays"), x * 26, 2)
        body = smoothstep(0.35, 0.75, profile(line.named("body"), x * 1.3, 2))
        rise = (foot[None, :] - y) * 3.2
        light = np.where(rise > 0, 1.0 / (1.0 + rise * rise * 9.0), np.maximum(1.0 + rise * 9.0, 0.0))
        light = (light * (rays * body)[None, :] * 0.55).astype(np.float32)
        canvas.shine(0, 0, enlarged(light, height * 2, canvas.width), colour)


def paint_clouds(scene: Scene, layer: int, amount: float) -> None:
    """Layer 0 is the large clouds; every further layer is smaller, thinner and nearer to the horizon."""
    canvas, palette = scene.canvas, scene.palette
    dice = scene.dice.named(f"clouds {layer}")
    height, width = int(scene.horizon) // 2, -(-canvas.width // 2)
    scale = 1.15 * 1.7**layer
    # A margin all around, so that the warp and the look towards the light never leave the field.
    margin = int(scene.unit * 0.07) + 2
    x = (np.arange(-margin, width + margin, dtype=np.float32) * 2) * (scale / scene.unit)
    y = (np.arange(-margin, height + margin, dtype=np.float32) * 2) * (scale * 2.2 / scene.unit)
    field = fbm(dice, y, x, 6 if layer == 0 else 4, 0.5)
    # Bending the field hides the grid that lattice noise has.
    bend = (value_noise(dice.named("bend"), y[margin:-margin] * 1.9, x[margin:-margin] * 2.3) - 0.5) * (margin * 0.85)
    row = np.arange(height, dtype=np.float32)[:, None] + (bend * 0.6 + margin)
    column = np.arange(width, dtype=np.float32)[None, :] + (bend + margin)
    index = row.astype(np.int32) * field.shape[1] + column.astype(np.int32)
    density = np.take(field.reshape(-1), index)
    reach = max(2, int(scene.unit * 0.011))
    rise = -reach if scene.sun_y < scene.horizon * 0.6 else reach // 2
    toward = np.take(field.reshape(-1), index + (rise * field.shape[1] + reach * scene.light))
    lit = np.clip(0.55 + (density - toward) * 4.6, 0.0, 1.0)
    centre = dice.between(0.22, 0.5) + 0.16 * layer
    away = (np.arange(height, dtype=np.float32) * (1.0 / height) - centre)[:, None]
    density -= away * away * (0.62 + 0.5 * layer)
    edge = 0.61 - 0.17 * amount
    cover = smoothstep(edge, edge + 0.11, density)
    cover *= (0.92 if layer == 0 else 0.6) * (0.75 if palette.is_night else 1.0)
    cover, lit = enlarged(cover, height * 2, canvas.width), enlarged(lit, height * 2, canvas.width)
    # Clouds far down fade into the haze, as everything does.
    depth = (np.arange(height * 2, dtype=np.float32) * (0.5 / height))[:, None]
    cover *= 1.0 - 0.6 * depth * depth
    ink = [lit * (bright - dark) + dark for bright, dark in zip(palette.cloud_lit, palette.cloud_shade, strict=True)]
    canvas.blend(0, 0, cover, ink)


def paint_birds(scene: Scene) -> None:
    dice = scene.dice.named("birds")
    x = scene.canvas.width * dice.between(0.25, 0.75)
    y = scene.horizon * dice.between(0.22, 0.5)
    colour = mixed(scene.palette.near, scene.palette.far, 0.15)
    for _ in range(dice.whole(4, 8)):
        size = scene.unit * dice.between(0.010, 0.02)
        pen = Figure(
            scene.canvas, x + scene.unit * dice.between(-0.12, 0.12), y + scene.unit * dice.between(-0.06, 0.06), size
        )
        lift = dice.between(0.25, 0.6)
        for side in (-1, 1):
            pen.curve([(0, 0), (side * 0.45, lift), (side * 1.05, lift * 0.7)], 0.1, 0.03, colour)
