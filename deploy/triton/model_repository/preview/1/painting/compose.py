"""The composition: which layers a wish becomes, back to front, and where the subject stands (always on a third)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import city, land, living, sky, subjects, water
from .canvas import Canvas
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

_HORIZON = {"mountain": 0.67, "ocean": 0.62, "forest": 0.70, "meadow": 0.64, "desert": 0.62, "city": 0.70, "snow": 0.66, "abstract": 0.72}
_DRAW = {
    "boat": (subjects.boat, 0.46), "lighthouse": (subjects.lighthouse, 0.60), "balloon": (subjects.balloon, 0.46),
    "tree": (living.tree, 0.56), "house": (subjects.house, 0.30), "stones": (subjects.stones, 0.32),
    "flower": (living.flower, 0.66), "cactus": (living.cactus, 0.44), "person": (living.person, 0.38),
    "cat": (living.cat, 0.40), "tower": (subjects.tower, 0.62), "orbs": (subjects.orbs, 0.52),
}  # fmt: skip
_LOW_SUN = frozenset({"coral", "magenta", "amber", "rose dawn", "retro", "sand"})


@dataclass(frozen=True)
class Layer:
    """One painter's pass, and the touches that further steps may add to it."""

    name: str
    paint: Callable[[], None]
    touches: tuple[Callable[[], None], ...] = field(default=())


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
    build = _PLACES[wish.place]
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
    amount = dice.between(0.15, 0.75) + (0.55 if palette.name == "storm" else 0) + (0.35 if "clouds" in wish.wanted else 0)
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
        pen = Figure(scene.canvas, dice.unit() * scene.canvas.width, dice.unit() * scene.canvas.height, size, opacity=0.85 - 0.45 * near)
        pen.ellipse(0, 0, 1, 1, (0.96, 0.97, 1.0))


def _subject(scene: Scene, wish: Wish, ground: float, *, mirrored: bool = False) -> Layer:
    """The subject on `ground`; over water with its mirror image first, thinned by the ripples."""
    draw, size = _DRAW[wish.subject]
    dice = scene.dice.named("subject " + wish.subject)
    size *= scene.unit * dice.between(0.94, 1.06)
    if wish.subject in ALOFT:
        ground = max(min(scene.canvas.height * 0.36 + size * 0.55, scene.horizon - size * 0.04), size * 1.07)

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


def _on(scene: Scene, crest: np.ndarray, sink: float = 0.006) -> float:
    return float(crest[min(int(scene.focus_x), scene.canvas.width - 1)]) + sink * scene.unit


def _levelled(scene: Scene, crest: np.ndarray, reach: float = 0.2) -> np.ndarray:
    """The crest with a flat place around the subject, so that nothing hangs over a slope."""
    away = np.abs(scene.columns() - scene.focus_x / scene.unit) * (1.0 / reach)
    t = np.clip(away - 0.45, 0.0, 1.0)
    t = t * t * (3.0 - 2.0 * t)
    level = float(crest[min(int(scene.focus_x), scene.canvas.width - 1)])
    return (crest - level) * t + level


def _ranges(scene: Scene, wish: Wish, dice: Dice, snow: float, tint: Colour) -> list[Layer]:
    canvas, unit = scene.canvas, scene.unit
    peak = scene.focus_x + (canvas.width / 2 - scene.focus_x) * dice.between(0.9, 2.3)
    reach = min(1.0, scene.horizon / (0.62 * unit))

    def range_layer(name: str, rise: float, nearness: float, cap: float, x: float) -> Layer:
        own = dice.named(name)
        crest = land.mountain_crest(scene, own, scene.horizon + 0.03 * unit, rise * reach, x)
        return Layer(
            name,
            lambda: land.paint_mountains(scene, own, crest, scene.horizon + 0.16 * unit, nearness=nearness, snow=cap, tint=tint),
        )

    return [
        range_layer("far range", dice.between(0.34, 0.42), 0.06, snow * 0.9, canvas.width - peak),
        range_layer("range", dice.between(0.44, 0.54), 0.36, snow, peak),
    ]


def _mountain(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    is_snowy = wish.place == "snow"
    ground = SNOW if is_snowy else mixed(GREEN, PINE, 0.35)
    snow = 0.5 if is_snowy else dice.pick((0.0, 0.10, 0.16, 0.22))
    layers = _ranges(scene, wish, dice, snow, ROCK) if wish.has("mountains", otherwise=True) else []
    has_lake = wish.has("water", otherwise=not is_snowy and dice.chance(0.5))
    forest = _pine_hill(scene, wish, dice.named("slope"), horizon + 0.035 * unit, 0.085, 0.55, ground, count=46, height=0.085)
    layers.append(forest)
    if has_lake:
        layers += _waters(scene, canvas.height)
        if wish.subject == "boat":
            return [*layers, _subject(scene, wish, horizon + 0.13 * unit, mirrored=True), _shore(scene, wish, dice, ground)]
        shore = _levelled(scene, land.hill_crest(scene, dice.named("bank"), canvas.height * 0.90, 0.11, 1.1))
    else:
        middle = land.hill_crest(scene, dice.named("middle"), horizon + 0.13 * unit, 0.10, 1.4)
        layers.append(_hill(scene, middle, 0.66, ground))
        shore = _levelled(scene, land.hill_crest(scene, dice.named("bank"), canvas.height * 0.87, 0.13, 1.0))
    layers.append(_hill(scene, shore, 0.84, ground))
    layers.append(_subject(scene, wish, _on(scene, shore, 0.012)))
    return [*layers, *_foreground(scene, wish, dice, ground)]


def _hill(scene: Scene, crest: np.ndarray, nearness: float, tint: Colour) -> Layer:
    share = 0.9 if tint is SNOW else 0.8
    top = mixed(scene.land(nearness, tint, share), scene.palette.sun, 0.10)
    bottom = mixed(scene.land(nearness, tint, share), scene.palette.near, 0.25 if tint is SNOW else 0.42)
    grain = scene.dice.named(f"hill {nearness}")
    return Layer("hill", lambda: land.paint_hill(scene, crest, scene.canvas.height, top, bottom, 0.24 * scene.unit, grain))


def _pine_hill(
    scene: Scene, wish: Wish, dice: Dice, base: float, rise: float, nearness: float, tint: Colour, *, count: int, height: float
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


def _foreground(scene: Scene, wish: Wish, dice: Dice, tint: Colour) -> list[Layer]:
    """The nearest, darkest rise, lowest under the subject; grass and framing pines grow on it."""
    canvas, unit = scene.canvas, scene.unit
    own = dice.named("foreground")
    away = np.abs(scene.columns() - scene.focus_x / unit)
    crest = land.hill_crest(scene, own, canvas.height * 0.985, 0.06, 1.3) - 0.075 * unit * np.clip(away * 1.1 - 0.15, 0.0, 1.0)
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
                land.paint_pine(canvas, x, float(crest[int(max(0, min(x, canvas.width - 1)))]) + 0.03 * unit, tall, colour, pines)
        land.paint_hill(scene, crest, canvas.height, colour, bottom, 0.1 * unit)

    def grow(batch: int) -> None:
        land.paint_grass(scene, own.named(f"grass {batch}"), crest, count=110, height=0.045, colours=blades)

    touches = tuple(lambda b=b: grow(b) for b in (0, 1)) if has_grass else ()
    return [Layer("foreground", paint, touches)]


def _waters(scene: Scene, bottom: float) -> list[Layer]:
    def paint() -> None:
        water.paint_water(scene)
        water.paint_sun_path(scene, 0.55 if scene.palette.is_night else 0.85)

    touches = tuple(lambda b=b: water.paint_ripples(scene, b, bottom) for b in (1, 2, 3))
    return [Layer("water", paint), Layer("ripples", lambda: water.paint_ripples(scene, 0, bottom), touches)]


def _shore(scene: Scene, wish: Wish, dice: Dice, tint: Colour) -> Layer:
    return _foreground(scene, wish, dice, tint)[0]


def _ocean(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    x = scene.columns()
    layers = []
    if wish.has("mountains", otherwise=dice.chance(0.65)):
        own = dice.named("headland")
        # A headland on the sun's side, falling into the sea before it reaches the subject.
        from_edge = x if scene.light < 0 else canvas.width / unit - x
        fall = np.clip(1.0 - from_edge * (unit / canvas.width) * 1.9, 0.0, 1.0)
        for nearness, rise in ((0.16, 0.16), (0.4, 0.10)):
            fall = fall * (1.0 if nearness < 0.3 else np.clip(fall * 1.4 - 0.4, 0.0, 1.0))  # noqa: PLR2004 the nearer one is shorter
            crest = horizon + 2.0 - unit * rise * np.sqrt(fall) * (0.5 + 0.8 * land.profile(own.named(str(rise)), x * 4.0, 5))
            crest = np.where(fall > 0, crest, horizon + 3.0).astype(np.float32)
            top = scene.land(nearness, ROCK)
            layers.append(
                Layer("headland", lambda c=crest, t=top: land.paint_hill(scene, c, horizon + 2, t, mixed(t, scene.palette.haze, 0.35), 0.16 * unit))
            )
    layers += _waters(scene, canvas.height)
    on_land = wish.subject not in ("boat", "lighthouse", *ALOFT)
    if not on_land:
        layers.append(_subject(scene, wish, horizon + (0.12 if wish.subject == "boat" else 0.085) * unit, mirrored=True))
    if on_land or dice.chance(0.55):
        base = canvas.height * (0.90 if on_land else 0.965)
        beach = land.hill_crest(scene, dice.named("beach"), base, 0.07, 0.8, 2)
        crest = _levelled(scene, beach) if on_land else beach
        sand = mixed(scene.land(0.7, SAND, 0.8), scene.palette.paper, 0.12 if scene.palette.is_night else 0.42)
        wet = mixed(sand, scene.palette.near, 0.38)
        foam = mixed(scene.palette.paper, scene.palette.haze, 0.3)

        def paint_beach() -> None:
            land.paint_hill(scene, crest - 0.012 * unit, canvas.height, foam, foam, unit)
            land.paint_hill(scene, crest, canvas.height, wet, sand, 0.07 * unit)

        layers.append(Layer("beach", paint_beach))
        if on_land:
            layers.append(_subject(scene, wish, _on(scene, crest, 0.03)))
    return layers


def _forest(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    layers = _ranges(scene, wish, dice, 0.0, ROCK)[:1] if wish.has("mountains", otherwise=dice.chance(0.5)) else []
    for i, (nearness, height, lift) in enumerate(((0.14, 0.13, -0.13), (0.32, 0.18, -0.06), (0.54, 0.24, 0.02))):
        layers.append(_pine_hill(scene, wish, dice.named(f"row {i}"), horizon + lift * unit, 0.07, nearness, PINE, count=60 - 12 * i, height=height))
    glade = _levelled(scene, land.hill_crest(scene, dice.named("glade"), canvas.height * 0.84, 0.05, 0.9))
    layers.append(_hill(scene, glade, 0.72, GREEN))
    own = dice.named("edge")
    colour = scene.land(0.82, PINE, 0.4)
    layers.append(
        Layer("edge", lambda: land.paint_pines(scene, own, glade, count=26, height=0.42, colour=colour, clearing=0.30))
    )
    layers.append(_subject(scene, wish, _on(scene, glade, 0.02)))
    return [*layers, *_foreground(scene, wish, dice, GREEN)]


def _meadow(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    layers = _ranges(scene, wish, dice, 0.1, ROCK)[:1] if wish.has("mountains", otherwise=dice.chance(0.35)) else []
    tones = (GREEN, mixed(GREEN, SAND, 0.4), GREEN, mixed(GREEN, SAND, 0.18))
    for i, (nearness, lift) in enumerate(((0.2, 0.0), (0.4, 0.07), (0.58, 0.15))):
        crest = land.hill_crest(scene, dice.named(f"hill {i}"), horizon + lift * unit, 0.12, 1.1 + 0.2 * i, 2)
        trees = dice.named(f"trees {i}")
        leaf = scene.land(nearness + 0.14, PINE if i % 2 else GREEN, 0.75)
        if wish.has("pines", otherwise=True):
            layers.append(
                Layer(
                    "trees",
                    lambda t=trees, c=crest, k=leaf, n=i: land.paint_bushes(scene, t, c, count=7 - n, size=0.035 + 0.014 * n, colour=k),
                )
            )
        layers.append(_hill(scene, crest, nearness, tones[i]))
    ground = canvas.height * 0.80
    crest = _levelled(scene, land.hill_crest(scene, dice.named("knoll"), ground + 0.05 * unit, 0.12, 0.8, 2), 0.3)
    layers.append(_hill(scene, crest, 0.74, tones[3]))
    palette = wish.palette
    petals = (palette.accent, palette.paper, palette.second, palette.second)
    own = dice.named("blossoms")

    def bloom(batch: int) -> None:
        land.paint_blossoms(scene, own.named(str(batch)), ground + 0.06 * unit, canvas.height, count=130, colours=petals)

    has_blossoms = wish.has("blossoms", otherwise=dice.chance(0.75))
    subject = _subject(scene, wish, canvas.height * 0.97 if wish.subject == "flower" else _on(scene, crest, 0.015))
    blossoms = [Layer("blossoms", lambda: bloom(0), tuple(lambda b=b: bloom(b) for b in (1, 2)))] if has_blossoms else []
    if wish.subject == "flower":
        return [*layers, *blossoms, subject, *_foreground(scene, wish, dice, GREEN)]
    return [*layers, subject, *blossoms, *_foreground(scene, wish, dice, GREEN)]


def _desert(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    layers = _ranges(scene, wish, dice, 0.0, mixed(SAND, ROCK, 0.4))[:1] if wish.has("mountains", otherwise=dice.chance(0.6)) else []
    for i, (nearness, lift, rise) in enumerate(((0.22, 0.05, 0.10), (0.4, 0.14, 0.17), (0.56, 0.27, 0.18))):
        own = dice.named(f"dune {i}")
        layers.append(
            Layer("dune", lambda d=own, n=nearness, b=horizon + lift * unit, r=rise: land.paint_dunes(scene, d, b, r, n, SAND))
        )
    floor = _levelled(scene, land.hill_crest(scene, dice.named("floor"), canvas.height * 0.90, 0.07, 0.8, 2))
    layers.append(_hill(scene, floor, 0.64, SAND))
    layers.append(_subject(scene, wish, _on(scene, floor, 0.03)))
    return layers


def _city(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    unit, horizon = scene.unit, scene.horizon
    lit = 0.5 if scene.palette.is_night else 0.3
    layers = [Layer("glow", lambda: city.paint_city_glow(scene, horizon + 1))]
    for i, (nearness, height) in enumerate(((0.1, 0.42), (0.34, 0.36), (0.62, 0.26))):
        if i == 2 and wish.subject == "tower":  # noqa: PLR2004 the tower stands between the second and the last row
            layers.append(_subject(scene, wish, horizon + 1))
        share = lit * (0.25, 0.7, 1.0)[i]
        layers.append(
            Layer(
                "skyline",
                lambda n=i, k=nearness, h=height, s=share: city.paint_skyline(scene, n, horizon + 1, nearness=k, height=h, lit_share=s),
            )
        )
    layers += _waters(scene, scene.canvas.height)
    if wish.subject == "tower":
        return layers
    if wish.subject in ("boat", "lighthouse", *ALOFT):
        return [*layers, _subject(scene, wish, horizon + 0.13 * unit, mirrored=True)]
    quay = _levelled(scene, np.full(scene.canvas.width, scene.canvas.height * 0.91, np.float32))
    return [*layers, _hill(scene, quay, 0.9, ROCK), _subject(scene, wish, _on(scene, quay, 0.012))]


def _abstract(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    """Ribbons of colour under a ringed sphere."""
    canvas, unit, palette = scene.canvas, scene.unit, wish.palette
    layers = [] if wish.subject != "orbs" else [_subject(scene, wish, 0.0)]
    colours = (palette.far, palette.accent, palette.second, palette.paper, palette.far, palette.accent, palette.near)
    count = dice.whole(5, 7)
    crest = np.full(canvas.width, scene.horizon, np.float32)
    for i in range(count):
        own = dice.named(f"ribbon {i}")
        base = canvas.height * (0.60 + 0.42 * (i + 1) / (count + 0.5))
        crest = land.hill_crest(scene, own, base, 0.26, 0.75, 2)
        colour = mixed(colours[(i + len(colours) - count) % len(colours)], palette.near, 0.12 + 0.05 * i)
        edge = mixed(colour, palette.sun, 0.3)
        layers.append(
            Layer("ribbon", lambda c=crest, a=edge, b=colour: land.paint_hill(scene, c, canvas.height, a, b, 0.2 * unit))
        )
    if wish.subject != "orbs":
        layers.append(_subject(scene, wish, _on(scene, crest, 0.02)))
    return layers


_PLACES = {
    "mountain": _mountain,
    "snow": _mountain,
    "ocean": _ocean,
    "forest": _forest,
    "meadow": _meadow,
    "desert": _desert,
    "city": _city,
    "abstract": _abstract,
}
