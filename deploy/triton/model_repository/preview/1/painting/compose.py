"""The composition: where the light and the subject stand (always on a third), and the picture's layers back to front."""

from . import sky
from .canvas import Canvas
from .dice import Dice
from .figure import Figure
from .layers import Layer
from .places import PLACES
from .reading import ALOFT, Wish
from .scene import Scene

_HORIZON = {
    "mountain": 0.67,
    "ocean": 0.62,
    "forest": 0.70,
    "meadow": 0.64,
    "desert": 0.62,
    "city": 0.70,
    "snow": 0.66,
    "abstract": 0.72,
}
_LOW_SUN = frozenset({"coral", "magenta", "amber", "rose dawn", "retro", "sand"})


def arrange(canvas: Canvas, wish: Wish, dice: Dice) -> Scene:
    place = dice.named("arrangement")
    horizon = canvas.height * (_HORIZON[wish.place] + place.between(-0.015, 0.015))
    third = place.pick((1, 2))
    focus_x = canvas.width * (third / 3 + place.between(-0.012, 0.012))
    other_x = canvas.width * ((3 - third) / 3 + place.between(-0.05, 0.09) * (1 if third == 1 else -1))
    behind = place.chance(0.3) and wish.subject not in ALOFT
    is_low = wish.palette.name in _LOW_SUN
    sun_x = focus_x + place.between(-0.09, 0.09) * canvas.unit if behind and is_low else other_x
    sun_y = horizon - canvas.unit * (place.between(0.10, 0.24) if is_low else place.between(0.36, 0.46))
    light = -1 if sun_x < focus_x else 1
    return Scene(canvas, wish.palette, dice, horizon, focus_x, sun_x, max(sun_y, 0.12 * canvas.height), light)


def compose(canvas: Canvas, wish: Wish, dice: Dice) -> list[Layer]:
    scene = arrange(canvas, wish, dice)
    build = PLACES[wish.place]
    return [*_above(scene, wish), *build(scene, wish, dice.named(wish.place)), *_falling(scene, wish)]


def _above(scene: Scene, wish: Wish) -> list[Layer]:
    palette = wish.palette
    dice = scene.dice.named("above")
    layers = [Layer("sky", lambda: sky.paint_sky(scene))]
    if wish.has("stars", otherwise=palette.is_night):
        more = tuple(lambda b=b: sky.paint_stars(scene, b) for b in (1, 2))
        layers.append(Layer("stars", lambda: sky.paint_stars(scene, 0), more))
    if wish.has("aurora", otherwise=palette.name == "northern night"):
        layers.append(Layer("aurora", lambda: sky.paint_aurora(scene)))
    if wish.has("sun", otherwise=palette.name not in ("storm", "northern night")):
        layers.append(Layer("sun", lambda: sky.paint_sun(scene)))
    amount = (
        dice.between(0.15, 0.75) + (0.55 if palette.name == "storm" else 0) + (0.35 if "clouds" in wish.wanted else 0)
    )
    if wish.has("clouds", otherwise=True) and not (palette.is_night and amount < 0.3):  # noqa: PLR2004 a clear night
        more = tuple(lambda n=n: sky.paint_clouds(scene, n, amount) for n in (1, 2))
        layers.append(Layer("clouds", lambda: sky.paint_clouds(scene, 0, amount), more))
    if wish.has("birds", otherwise=not palette.is_night and dice.chance(0.5)):
        layers.append(Layer("birds", lambda: sky.paint_birds(scene)))
    return layers


def _falling(scene: Scene, wish: Wish) -> list[Layer]:
    if not wish.has("snowfall", otherwise=False):
        return []
    flakes = tuple(lambda b=b: _snowfall(scene, b) for b in (1, 2))
    return [Layer("snowfall", lambda: _snowfall(scene, 0), flakes)]


def _snowfall(scene: Scene, batch: int) -> None:
    dice = scene.dice.named(f"snowfall {batch}")
    for _ in range(70):
        near = dice.unit() * dice.unit()
        size = scene.unit * (0.0016 + 0.005 * near)
        pen = Figure(
            scene.canvas,
            dice.unit() * scene.canvas.width,
            dice.unit() * scene.canvas.height,
            size,
            opacity=0.85 - 0.45 * near,
        )
        pen.ellipse(0, 0, 1, 1, (0.96, 0.97, 1.0))
