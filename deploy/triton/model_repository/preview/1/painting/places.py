"""The places: which layers each is made of, from behind the horizon to our feet."""

import numpy as np

from . import city, land
from .colour import mixed
from .dice import Dice
from .layers import (
    GREEN,
    PINE,
    ROCK,
    SAND,
    SNOW,
    Layer,
    foreground_layers,
    ground_at,
    hill_layer,
    levelled,
    pine_hill_layer,
    range_layers,
    shore_layer,
    subject_layer,
    water_layers,
)
from .reading import ALOFT, Wish
from .scene import Scene


def mountain_place(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    is_snowy = wish.place == "snow"
    ground = SNOW if is_snowy else mixed(GREEN, PINE, 0.35)
    snow = 0.5 if is_snowy else dice.pick((0.0, 0.10, 0.16, 0.22))
    layers = range_layers(scene, dice, snow, ROCK) if wish.has("mountains", otherwise=True) else []
    has_lake = wish.has("water", otherwise=not is_snowy and dice.chance(0.5))
    forest = pine_hill_layer(
        scene, wish, dice.named("slope"), horizon + 0.035 * unit, 0.085, 0.55, ground, count=46, height=0.085
    )
    layers.append(forest)
    if has_lake:
        layers += water_layers(scene, canvas.height)
        if wish.subject == "boat":
            return [
                *layers,
                subject_layer(scene, wish, horizon + 0.13 * unit, mirrored=True),
                shore_layer(scene, wish, dice, ground),
            ]
        shore = levelled(scene, land.hill_crest(scene, dice.named("bank"), canvas.height * 0.90, 0.11, 1.1))
    else:
        middle = land.hill_crest(scene, dice.named("middle"), horizon + 0.13 * unit, 0.10, 1.4)
        layers.append(hill_layer(scene, middle, 0.66, ground))
        shore = levelled(scene, land.hill_crest(scene, dice.named("bank"), canvas.height * 0.87, 0.13, 1.0))
    layers.append(hill_layer(scene, shore, 0.84, ground))
    layers.append(subject_layer(scene, wish, ground_at(scene, shore, 0.012)))
    return [*layers, *foreground_layers(scene, wish, dice, ground)]


def ocean_place(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
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
            crest = (
                horizon
                + 2.0
                - unit * rise * np.sqrt(fall) * (0.5 + 0.8 * land.profile(own.named(str(rise)), x * 4.0, 5))
            )
            crest = np.where(fall > 0, crest, horizon + 3.0).astype(np.float32)
            top = scene.land(nearness, ROCK)
            layers.append(
                Layer(
                    "headland",
                    lambda c=crest, t=top: land.paint_hill(
                        scene, c, horizon + 2, t, mixed(t, scene.palette.haze, 0.35), 0.16 * unit
                    ),
                )
            )
    layers += water_layers(scene, canvas.height)
    on_land = wish.subject not in ("boat", "lighthouse", *ALOFT)
    if not on_land:
        layers.append(
            subject_layer(scene, wish, horizon + (0.12 if wish.subject == "boat" else 0.085) * unit, mirrored=True)
        )
    if on_land or dice.chance(0.55):
        base = canvas.height * (0.90 if on_land else 0.965)
        beach = land.hill_crest(scene, dice.named("beach"), base, 0.07, 0.8, 2)
        crest = levelled(scene, beach) if on_land else beach
        sand = mixed(scene.land(0.7, SAND, 0.8), scene.palette.paper, 0.12 if scene.palette.is_night else 0.42)
        wet = mixed(sand, scene.palette.near, 0.38)
        foam = mixed(scene.palette.paper, scene.palette.haze, 0.3)

        def paint_beach() -> None:
            land.paint_hill(scene, crest - 0.012 * unit, canvas.height, foam, foam, unit)
            land.paint_hill(scene, crest, canvas.height, wet, sand, 0.07 * unit)

        layers.append(Layer("beach", paint_beach))
        if on_land:
            layers.append(subject_layer(scene, wish, ground_at(scene, crest, 0.03)))
    return layers


def forest_place(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    layers = range_layers(scene, dice, 0.0, ROCK)[:1] if wish.has("mountains", otherwise=dice.chance(0.5)) else []
    for i, (nearness, height, lift) in enumerate(((0.14, 0.13, -0.13), (0.32, 0.18, -0.06), (0.54, 0.24, 0.02))):
        layers.append(
            pine_hill_layer(
                scene,
                wish,
                dice.named(f"row {i}"),
                horizon + lift * unit,
                0.07,
                nearness,
                PINE,
                count=60 - 12 * i,
                height=height,
            )
        )
    glade = levelled(scene, land.hill_crest(scene, dice.named("glade"), canvas.height * 0.84, 0.05, 0.9))
    layers.append(hill_layer(scene, glade, 0.72, GREEN))
    own = dice.named("edge")
    colour = scene.land(0.82, PINE, 0.4)
    layers.append(
        Layer("edge", lambda: land.paint_pines(scene, own, glade, count=26, height=0.42, colour=colour, clearing=0.30))
    )
    layers.append(subject_layer(scene, wish, ground_at(scene, glade, 0.02)))
    return [*layers, *foreground_layers(scene, wish, dice, GREEN)]


def meadow_place(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    layers = range_layers(scene, dice, 0.1, ROCK)[:1] if wish.has("mountains", otherwise=dice.chance(0.35)) else []
    tones = (GREEN, mixed(GREEN, SAND, 0.4), GREEN, mixed(GREEN, SAND, 0.18))
    for i, (nearness, lift) in enumerate(((0.2, 0.0), (0.4, 0.07), (0.58, 0.15))):
        crest = land.hill_crest(scene, dice.named(f"hill {i}"), horizon + lift * unit, 0.12, 1.1 + 0.2 * i, 2)
        trees = dice.named(f"trees {i}")
        leaf = scene.land(nearness + 0.14, PINE if i % 2 else GREEN, 0.75)
        if wish.has("pines", otherwise=True):
            layers.append(
                Layer(
                    "trees",
                    lambda t=trees, c=crest, k=leaf, n=i: land.paint_bushes(
                        scene, t, c, count=7 - n, size=0.035 + 0.014 * n, colour=k
                    ),
                )
            )
        layers.append(hill_layer(scene, crest, nearness, tones[i]))
    ground = canvas.height * 0.80
    crest = levelled(scene, land.hill_crest(scene, dice.named("knoll"), ground + 0.05 * unit, 0.12, 0.8, 2), 0.3)
    layers.append(hill_layer(scene, crest, 0.74, tones[3]))
    palette = wish.palette
    petals = (palette.accent, palette.paper, palette.second, palette.second)
    own = dice.named("blossoms")

    def bloom(batch: int) -> None:
        land.paint_blossoms(
            scene, own.named(str(batch)), ground + 0.06 * unit, canvas.height, count=130, colours=petals
        )

    has_blossoms = wish.has("blossoms", otherwise=dice.chance(0.75))
    subject = subject_layer(
        scene, wish, canvas.height * 0.97 if wish.subject == "flower" else ground_at(scene, crest, 0.015)
    )
    blossoms = (
        [Layer("blossoms", lambda: bloom(0), tuple(lambda b=b: bloom(b) for b in (1, 2)))] if has_blossoms else []
    )
    if wish.subject == "flower":
        return [*layers, *blossoms, subject, *foreground_layers(scene, wish, dice, GREEN)]
    return [*layers, subject, *blossoms, *foreground_layers(scene, wish, dice, GREEN)]


def desert_place(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    canvas, unit, horizon = scene.canvas, scene.unit, scene.horizon
    layers = (
        range_layers(scene, dice, 0.0, mixed(SAND, ROCK, 0.4))[:1]
        if wish.has("mountains", otherwise=dice.chance(0.6))
        else []
    )
    for i, (nearness, lift, rise) in enumerate(((0.22, 0.05, 0.10), (0.4, 0.14, 0.17), (0.56, 0.27, 0.18))):
        own = dice.named(f"dune {i}")
        layers.append(
            Layer(
                "dune",
                lambda d=own, n=nearness, b=horizon + lift * unit, r=rise: land.paint_dunes(scene, d, b, r, n, SAND),
            )
        )
    floor = levelled(scene, land.hill_crest(scene, dice.named("floor"), canvas.height * 0.90, 0.07, 0.8, 2))
    layers.append(hill_layer(scene, floor, 0.64, SAND))
    layers.append(subject_layer(scene, wish, ground_at(scene, floor, 0.03)))
    return layers


def city_place(scene: Scene, wish: Wish, _dice: Dice) -> list[Layer]:
    unit, horizon = scene.unit, scene.horizon
    lit = 0.5 if scene.palette.is_night else 0.3
    layers = [Layer("glow", lambda: city.paint_city_glow(scene, horizon + 1))]
    for i, (nearness, height) in enumerate(((0.1, 0.42), (0.34, 0.36), (0.62, 0.26))):
        if i == 2 and wish.subject == "tower":  # noqa: PLR2004 the tower stands between the second and the last row
            layers.append(subject_layer(scene, wish, horizon + 1))
        share = lit * (0.25, 0.7, 1.0)[i]
        layers.append(
            Layer(
                "skyline",
                lambda n=i, k=nearness, h=height, s=share: city.paint_skyline(
                    scene, n, horizon + 1, nearness=k, height=h, lit_share=s
                ),
            )
        )
    layers += water_layers(scene, scene.canvas.height)
    if wish.subject == "tower":
        return layers
    if wish.subject in ("boat", "lighthouse", *ALOFT):
        return [*layers, subject_layer(scene, wish, horizon + 0.13 * unit, mirrored=True)]
    quay = levelled(scene, np.full(scene.canvas.width, scene.canvas.height * 0.91, np.float32))
    return [*layers, hill_layer(scene, quay, 0.9, ROCK), subject_layer(scene, wish, ground_at(scene, quay, 0.012))]


def abstract_place(scene: Scene, wish: Wish, dice: Dice) -> list[Layer]:
    """Ribbons of colour under a ringed sphere."""
    canvas, unit, palette = scene.canvas, scene.unit, wish.palette
    layers = [] if wish.subject != "orbs" else [subject_layer(scene, wish, 0.0)]
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
            Layer(
                "ribbon", lambda c=crest, a=edge, b=colour: land.paint_hill(scene, c, canvas.height, a, b, 0.2 * unit)
            )
        )
    if wish.subject != "orbs":
        layers.append(subject_layer(scene, wish, ground_at(scene, crest, 0.02)))
    return layers


PLACES = {
    "mountain": mountain_place,
    "snow": mountain_place,
    "ocean": ocean_place,
    "forest": forest_place,
    "meadow": meadow_place,
    "desert": desert_place,
    "city": city_place,
    "abstract": abstract_place,
}
