"""The table of families and derivatives (sizes in pixels), and what a picture's name means. No pixels are touched here.

Masters and the first two rows' derivatives come from the marketing platform's specification; the derivatives of
portrait, hero and facebook-og are ours, chosen for the uses that specification names.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value


class Derivative(Value):
    """A named size cut from a family's render."""

    name: str
    size: Dimensions


class Family(Value):
    """An aspect ratio: the unit of work, of failure and of retry."""

    name: str
    ratio: str
    master: Dimensions
    derivatives: tuple[Derivative, ...]
    aliases: tuple[str, ...] = ()


def _family(name: str, ratio: str, master: str, *aliases: str, **derivatives: str) -> Family:
    return Family(
        name=name,
        ratio=ratio,
        master=_size(master),
        derivatives=tuple(
            Derivative(name=key.replace("_", "-"), size=_size(size)) for key, size in derivatives.items()
        ),
        aliases=aliases,
    )


def _size(text: str) -> Dimensions:
    width, height = text.split("x")
    return Dimensions(width=int(width), height=int(height))


# fmt: off
_TABLE: Final = (
    _family("square", "1:1", "1024x1024", og_image="1200x1200", twitter_card="800x800", profile="512x512"),
    _family("landscape", "16:9", "1920x1080", hero="1920x1080", youtube_thumbnail="1280x720", banner="1200x675"),
    _family("portrait", "9:16", "1080x1920", instagram_story="1080x1920", mobile_screen="750x1334"),
    _family("hero", "21:9", "2560x1097", ultrawide_banner="2560x1097", header="1920x823"),
    _family("facebook-og", "1.91:1", "1200x628", "facebook", "social", link_preview="1200x628", linkedin="1200x627"),
)
# fmt: on

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({family.name: family for family in _TABLE})
_ALIASES: Final = MappingProxyType({alias: family.name for family in _TABLE for alias in family.aliases})


class UnknownFamily(ValueError):
    """The message lists the names that exist."""

    def __init__(self, name: str) -> None:
        known = ", ".join(FAMILIES)
        super().__init__(f"unknown family {name!r}: use one of {known}")


def family_named(name: str) -> Family:
    """The family with this name or alias. Raises UnknownFamily."""
    try:
        return FAMILIES[_ALIASES.get(name, name)]
    except KeyError:
        raise UnknownFamily(name) from None


class PictureName(Value):
    """What a name stands for: a family's master (`derivative` is None) or one of its derivatives."""

    family: str
    derivative: str | None = None


class AmbiguousName(ValueError):
    """Several requested families have a derivative of this name; the message lists the exact names."""

    def __init__(self, name: str, families: Collection[str]) -> None:
        exact = " or ".join(f"{family}.{name}" for family in families)
        super().__init__(f"{name!r} is ambiguous here: use {exact}")


def picture_named(
    name: str, requested: Collection[str], *, families: Mapping[str, Family] = FAMILIES
) -> PictureName | None:
    """What `name` means among the requested families; None if it means nothing. Raises AmbiguousName.

    `family.derivative` is always exact. A family's name or alias is its master and wins over an equal derivative name;
    a bare derivative name works if only one requested family has it.
    """
    candidates = [family for family in families.values() if family.name in requested]
    family_name, dot, derivative_name = name.partition(".")
    for family in candidates:
        if family_name == family.name or family_name in family.aliases:
            if not dot:
                return PictureName(family=family.name)
            known = any(item.name == derivative_name for item in family.derivatives)
            return PictureName(family=family.name, derivative=derivative_name) if known else None
    owners = [family.name for family in candidates if any(item.name == name for item in family.derivatives)]
    if len(owners) > 1:
        raise AmbiguousName(name, owners)
    return PictureName(family=owners[0], derivative=name) if owners else None
