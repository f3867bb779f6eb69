"""Tables of families and derivatives (sizes in pixels), and what a picture's name means. No pixels are touched here.

The built-in table's masters and the first two rows' derivatives come from the marketing platform's specification; the
derivatives of portrait, hero and facebook-og are ours, chosen for the uses that specification names.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Self

from pydantic import Field, model_validator

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


class UnknownFamily(ValueError):
    """The message lists the names that exist."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(f"unknown family {name!r}: use one of {', '.join(known)}")


class FamilyTable(Value):
    """The families that there are. No two names or aliases differ in the case of their letters alone."""

    families: tuple[Family, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _says_each_name_once(self) -> Self:
        if problems := [*_said_by_several(self.families), *_said_twice_within(self.families)]:
            raise ValueError("; ".join(problems))
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Without aliases, in the table's order."""
        return tuple(family.name for family in self.families)

    @property
    def default(self) -> str:
        """The family of requests that name none: `square`, or the first of a table without it."""
        return _DEFAULT if _DEFAULT in self.names else self.families[0].name

    def named(self, name: str) -> Family:
        """The family with this name or alias. Raises UnknownFamily."""
        for family in self.families:
            if name == family.name or name in family.aliases:
                return family
        raise UnknownFamily(name, self.names)

    def canonical(self, name: str) -> str:
        """The name of the family that has this alias; anything else comes back as it is."""
        return next((family.name for family in self.families if name in family.aliases), name)


_DEFAULT: Final = "square"


def _said_by_several(families: tuple[Family, ...]) -> Iterator[str]:
    said = Counter(word.casefold() for family in families for word in (family.name, *family.aliases))
    for word, times in said.items():
        if times > 1:
            yield f"{word!r} is said {times} times among the families' names and aliases; each must mean one family"


def _said_twice_within(families: tuple[Family, ...]) -> Iterator[str]:
    for family in families:
        own = {word.casefold() for word in (family.name, *family.aliases)}
        said = Counter(item.name.casefold() for item in family.derivatives)
        for word, times in said.items():
            if times > 1:
                yield f"{family.name} has {times} derivatives {word!r}; each needs a name of its own there"
            if word in own:
                yield f"{family.name} has a derivative {word!r}, which is the name of its master; call it otherwise"


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
BUILT_IN_TABLE: Final = FamilyTable(families=_TABLE)
"""The one that holds where the operator configures no other."""


def family_named(name: str) -> Family:
    """The family of the built-in table with this name or alias. Raises UnknownFamily."""
    return BUILT_IN_TABLE.named(name)


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
