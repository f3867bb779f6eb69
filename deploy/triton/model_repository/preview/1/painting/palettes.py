"""The palettes, each made by hand as one harmony. How a prompt chooses one lives in reading.py."""

from dataclasses import dataclass

from .colour import Colour, from_hex


@dataclass(frozen=True)
class Palette:
    """Zenith to horizon, the light, the land from far to near, and the accents that only the subject wears."""

    name: str
    sky: tuple[Colour, ...]
    sun: Colour
    glow: Colour
    far: Colour
    near: Colour
    cloud_lit: Colour
    cloud_shade: Colour
    accent: Colour
    second: Colour
    paper: Colour
    lamp: Colour
    is_night: bool = False

    @property
    def haze(self) -> Colour:
        return self.sky[-1]


def _palette(name: str, sky: str, others: str, *, is_night: bool = False) -> Palette:
    return Palette(
        name, tuple(from_hex(c) for c in sky.split()), *(from_hex(c) for c in others.split()), is_night=is_night
    )


#        sun     glow    far     near    cloud lit, shade  accent  second  paper   lamp
ALL = {
    palette.name: palette
    for palette in (
        _palette("coral", "#2a2f63 #7c4b86 #e97f6b #ffcf91",
                 "#fff3d0 #ff9e5e #b9667d #1d1836 #ffc09a #86558a #d9412f #f2b84b #fff0dc #ffd98a"),
        _palette("magenta", "#1c1d4d #563a8e #cf568f #ffb488",
                 "#ffe6c4 #ff7f7a #8c4a8f #150f33 #ff9fa0 #5e3a8a #f0503c #ffc857 #ffeede #ffd27a"),
        _palette("amber", "#3f6f8f #8fb0a6 #f2cf8e #ffbf69",
                 "#fffbe6 #ffb347 #b98a5e #2a2333 #ffe3b0 #b79a86 #c8372d #2f6f73 #fff5e1 #ffe09a"),
        _palette("rose dawn", "#5c78ad #aba9d2 #f3bfc0 #fee4c6",
                 "#fffaf0 #ffb7a0 #9c8fb8 #2b2a4c #fff0ea #b7a6c9 #d8434e #f3a712 #fffaf2 #ffe3a6"),
        _palette("blue day", "#1565a9 #3f97d3 #93cdea #e6f4f1",
                 "#ffffff #fff1c9 #7fb0c6 #16384d #ffffff #a9c6da #e4432d #ffc53a #fffdf6 #fff0b8"),
        _palette("teal day", "#1c7591 #4fadb8 #a6dacf #f6f0d4",
                 "#fffef2 #ffe7a8 #7fb3a4 #123b41 #fffdf0 #9dc4be #e2552b #f6b93b #fffaf0 #ffedb0"),
        _palette("storm", "#263241 #465a6b #7d929c #cdd2c9",
                 "#f5f1e2 #e8dcb8 #6d7f86 #131b24 #d5dad6 #4a5a68 #d8a02a #b8473a #f3f1ea #ffd77a"),
        _palette("indigo night", "#060a22 #0f1d4a #21477a #5d8aa8",
                 "#f7f3df #9dbbe0 #2f5580 #050a1c #6f93b8 #1a305a #e8543f #ffc14f #dfe9f2 #ffd98f", is_night=True),
        _palette("violet night", "#0c0822 #271650 #552d7a #b0648f",
                 "#fff0e0 #d79bd0 #54357a #0a0619 #8e62a0 #2c1a55 #ff6b57 #ffcb69 #f0e3f0 #ffd38c", is_night=True),
        _palette("northern night", "#040d1c #08273a #0f4c56 #4b9a86",
                 "#f2fbea #7fd6b0 #1d5560 #030c14 #5fa79a #0e3444 #ff7a4f #ffd166 #e2f3ec #ffdf94", is_night=True),
        _palette("winter", "#5f8fbd #9ec2de #d3e3ee #fbeee2",
                 "#fffdf6 #ffdcbc #9db9d2 #233c5a #ffffff #afc7dc #cf3a36 #e8a23a #ffffff #ffdf9c"),
        _palette("sand", "#2f789f #86b4b4 #f1d3a2 #f7bd7e",
                 "#fffbe8 #ffd08a #c98a63 #4a1f2b #fff0d6 #c7a996 #2c7a74 #f4d35e #fff4df #ffe3a2"),
        _palette("mist", "#5d827f #93b0a2 #cbd7bd #f2eed4",
                 "#fffdf0 #fbe9b7 #8aa596 #16302f #fbf7e6 #a6baa9 #d4502f #e9b44c #fbf8ec #ffe6a6"),
        _palette("retro", "#16304f #2b6a8c #f0a35c #f7e3c0",
                 "#fff6df #ff8c5a #d9764f #0f1f38 #ffe0b2 #c98a6a #e4462f #f4c04e #fff3dc #ffdc94"),
    )
}  # fmt: skip
