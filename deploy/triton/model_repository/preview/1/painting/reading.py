"""From words to a wish: place, hour, weather and subject. Unknown words choose by hash, so every prompt gets its own picture."""

import re
from dataclasses import dataclass

from .dice import Dice
from .palettes import ALL, Palette

_PLACES = {
    "mountain": "mountain mountains alps alpine peak peaks summit valley hiking canyon cliff volcano highland fjord berg",
    "ocean": "ocean sea beach coast coastal shore island bay harbor harbour marine seaside wave waves surf holiday "
    "vacation sailing sail boat ship yacht lighthouse nautical meer strand",
    "forest": "forest woods woodland pine pines jungle trees autumn fall camping fox deer owl bear wald",
    "meadow": "meadow field fields hill hills farm garden spring countryside village grass flower flowers rose tulip "
    "sunflower poppy park picnic horse cow sheep balloon tuscany vineyard stonehenge wiese",
    "desert": "desert dune dunes sahara sand cactus camel egypt pyramid arizona oasis savanna savannah africa wüste",
    "city": "city skyline urban downtown town street tower skyscraper building buildings architecture office neon "
    "cyberpunk metropolis new york tokyo london paris berlin stadt",
    "snow": "snow snowy winter northern ice arctic frozen christmas ski skiing glacier antarctic penguin polar schnee",
    "abstract": "abstract geometric pattern logo wallpaper minimal minimalist texture shapes gradient background space "
    "galaxy planet cosmos universe futuristic technology data",
}
_HOURS = {
    "sunset": "sunset evening golden warm romantic autumn fall sundown",
    "dusk": "dusk twilight neon cyberpunk magenta purple vaporwave synthwave retro",
    "dawn": "dawn sunrise morning pastel soft pink spring wedding",
    "day": "day daylight noon sunny bright blue clear summer fresh cheerful",
    "night": "night midnight dark moon moonlight moonlit stars starry nocturnal space galaxy planet cosmos universe aurora",
    "grey": "storm stormy rain rainy moody dramatic thunder gloomy overcast cloudy grey gray",
    "mist": "mist misty fog foggy haze mysterious calm zen green",
}
_PALETTES = {
    "sunset": ("coral", "amber", "magenta"),
    "dusk": ("magenta", "violet night", "retro"),
    "dawn": ("rose dawn", "amber", "teal day"),
    "day": ("blue day", "teal day", "blue day"),
    "night": ("indigo night", "violet night", "northern night"),
    "grey": ("storm",),
    "mist": ("mist", "mist", "rose dawn"),
}
_PLACE_PALETTES = {
    "mountain": ("rose dawn", "teal day", "coral", "blue day", "mist", "indigo night"),
    "ocean": ("coral", "blue day", "teal day", "amber", "indigo night", "rose dawn"),
    "forest": ("mist", "amber", "coral", "indigo night", "teal day"),
    "meadow": ("blue day", "amber", "rose dawn", "teal day", "coral"),
    "desert": ("sand", "sand", "coral", "amber", "violet night"),
    "city": ("magenta", "indigo night", "coral", "violet night", "retro", "amber"),
    "snow": ("winter", "winter", "rose dawn", "northern night", "indigo night"),
    "abstract": ("retro", "magenta", "teal day", "violet night", "coral"),
}
_SUBJECTS = {
    "boat": "boat boats sail sailing sailboat ship yacht regatta segelboot",
    "lighthouse": "lighthouse beacon leuchtturm",
    "balloon": "balloon balloons hot-air airship flying travel adventure ballon",
    "tree": "tree oak autumn fall baum apple cherry blossom",
    "house": "house cabin cottage hut home farm barn lodge chalet village haus",
    "stones": "stone stones rock monolith ruin ruins ancient temple gate arch monument stonehenge",
    "flower": "flower flowers rose tulip poppy sunflower daisy blossom bloom bouquet garden blume",
    "cactus": "cactus cacti saguaro",
    "person": "person people man woman girl boy portrait traveler traveller wanderer hiker hero knight wizard astronaut "
    "model fashion child king queen",
    "cat": "cat cats kitten dog puppy fox animal pet katze",
    "tower": "tower skyscraper building office architecture turm",
    "orbs": "planet sphere orb orbs space galaxy",
}
_PLACE_SUBJECTS = {
    "mountain": ("balloon", "house", "tree", "boat", "person", "stones"),
    "ocean": ("boat", "lighthouse", "boat", "lighthouse", "balloon"),
    "forest": ("house", "person", "stones", "balloon", "cat"),
    "meadow": ("tree", "house", "balloon", "flower", "stones"),
    "desert": ("cactus", "balloon", "person", "stones"),
    "city": ("tower", "balloon", "tower", "boat"),
    "snow": ("house", "person", "balloon", "tree"),
    "abstract": ("orbs",),
}
_WEATHER = {
    "water": "lake river reflection reflections water pond harbor harbour bay fjord",
    "clouds": "cloud clouds cloudy overcast storm stormy dramatic",
    "stars": "star stars starry galaxy space cosmos universe",
    "aurora": "aurora northern polar arctic borealis",
    "snowfall": "snow snowing snowfall snowy blizzard christmas",
    "birds": "bird birds seagull seagulls gull gulls flock",
    "sun": "sun moon",
    "mountains": "mountain mountains peak peaks alps",
    "pines": "pine pines forest trees",
    "city": "skyline",
}
_REMOVABLE = {
    "clouds": "cloud clouds cloudy",
    "stars": "star stars",
    "birds": "bird birds",
    "sun": "sun moon",
    "water": "water lake river reflection reflections",
    "snowfall": "snow snowfall",
    "pines": "tree trees pine pines",
    "mountains": "mountain mountains",
    "grass": "grass",
    "blossoms": "flower flowers",
    "person": "person people man woman human humans",
    "cat": "animal animals cat cats dog",
    "house": "house houses building buildings",
    "balloon": "balloon balloons",
    "boat": "boat boats ship ships",
}
AFLOAT = ("boat", "lighthouse")
ALOFT = ("balloon", "orbs")


def _index(table: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, words in table.items():
        for word in words.split():
            found.setdefault(word, []).append(name)
    return found


_BY_WORD = {
    kind: _index(table)
    for kind, table in (
        ("place", _PLACES), ("hour", _HOURS), ("subject", _SUBJECTS), ("weather", _WEATHER), ("removed", _REMOVABLE)
    )
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    place: str
    subject: str
    palette: Palette
    wanted: frozenset[str]
    removed: frozenset[str]

    def has(self, ingredient: str, *, otherwise: bool) -> bool:
        """Asked for by a word, unless the negative prompt takes it away; `otherwise` when no word speaks of it."""
        return ingredient not in self.removed and (ingredient in self.wanted or otherwise)


def _named(kind: str, words: list[str]) -> list[str]:
    return [name for word in words for name in _BY_WORD[kind].get(word, ())]


def _words(text: str) -> list[str]:
    """Lower-case words, each followed by what may be its singular."""
    return [form for word in re.findall(r"[^\W\d_]+", text.lower()) for form in (word, word.removesuffix("s"))]


def read(prompt: str, negative_prompt: str, dice: Dice) -> Wish:
    words = _words(prompt)
    removed = frozenset(_named("removed", _words(negative_prompt)))
    subjects = [name for name in _named("subject", words) if name not in removed]
    # A word that names a subject says less about the place than one that does not: "balloon over the desert".
    places = _named("place", sorted(words, key=lambda word: word in _BY_WORD["subject"]))
    place = (
        places[0]
        if places
        else dice.named("place").pick(("mountain", "ocean", "forest", "meadow", "desert", "city", "snow"))
    )
    usual = [name for name in _PLACE_SUBJECTS[place] if name not in removed] or ["stones"]
    subject = subjects[0] if subjects else dice.named("subject").pick(usual)
    hours = _named("hour", words)
    names = _PALETTES[dice.named("hour").pick(hours)] if hours else _PLACE_PALETTES[place]
    wanted = frozenset(_named("weather", words)) | ({"water"} if subject in AFLOAT else frozenset())
    if place == "snow" and not hours and "aurora" in wanted:
        names = ("northern night",)
    return Wish(place, subject, ALL[dice.named("palette").pick(names)], wanted, removed)
