"""The built-in table of families, number by number; what any table must be; and what a picture's name means."""

import pytest
from pydantic import ValidationError

from imagetron_contracts.families import (
    BUILT_IN_TABLE,
    FAMILIES,
    AmbiguousName,
    Derivative,
    Family,
    FamilyTable,
    PictureName,
    UnknownFamily,
    family_named,
    picture_named,
)
from imagetron_contracts.media import Dimensions

MASTERS = {
    "square": ("1:1", "1024x1024"),
    "landscape": ("16:9", "1920x1080"),
    "portrait": ("9:16", "1080x1920"),
    "hero": ("21:9", "2560x1097"),
    "facebook-og": ("1.91:1", "1200x628"),
}
DERIVATIVES = {
    "square": {"og-image": "1200x1200", "twitter-card": "800x800", "profile": "512x512"},
    "landscape": {"hero": "1920x1080", "youtube-thumbnail": "1280x720", "banner": "1200x675"},
    "portrait": {"instagram-story": "1080x1920", "mobile-screen": "750x1334"},
    "hero": {"ultrawide-banner": "2560x1097", "header": "1920x823"},
    "facebook-og": {"link-preview": "1200x628", "linkedin": "1200x627"},
}
ALL = tuple(MASTERS)


def row(name: str, *derivatives: str, aliases: tuple[str, ...] = ()) -> Family:
    size = Dimensions(width=10, height=10)
    cut = tuple(Derivative(name=item, size=size) for item in derivatives)
    return Family(name=name, ratio="1:1", master=size, derivatives=cut, aliases=aliases)


def test_the_families_are_these_five():
    assert list(FAMILIES) == list(MASTERS)


@pytest.mark.parametrize("name", MASTERS)
def test_a_master_has_the_ratio_and_the_exact_size_of_the_specification(name):
    assert (FAMILIES[name].ratio, str(FAMILIES[name].master)) == MASTERS[name]


@pytest.mark.parametrize("name", DERIVATIVES)
def test_a_familys_derivatives_have_these_names_and_exact_sizes(name):
    assert {item.name: str(item.size) for item in FAMILIES[name].derivatives} == DERIVATIVES[name]


def test_the_table_cannot_be_changed_at_run_time():
    with pytest.raises(TypeError):
        FAMILIES["other"] = FAMILIES["square"]  # type: ignore[index]


@pytest.mark.parametrize("name", ["facebook-og", "facebook", "social"])
def test_facebook_and_social_are_other_words_for_facebook_og(name):
    assert family_named(name).name == "facebook-og"


@pytest.mark.parametrize("name", ["circle", "", "Square", "og-image", "hero.header"])
def test_an_unknown_family_is_refused_with_the_names_that_exist(name):
    with pytest.raises(UnknownFamily) as refusal:
        family_named(name)

    assert str(refusal.value) == (f"unknown family {name!r}: use one of square, landscape, portrait, hero, facebook-og")


def test_the_built_in_table_has_these_families_and_no_others():
    assert BUILT_IN_TABLE.names == ALL
    assert BUILT_IN_TABLE.named("social") == FAMILIES["facebook-og"]


@pytest.mark.parametrize(("name", "meant"), [("social", "facebook-og"), ("square", "square"), ("circle", "circle")])
def test_an_alias_is_written_as_the_name_and_anything_else_stays(name, meant):
    assert BUILT_IN_TABLE.canonical(name) == meant


def test_another_table_refuses_with_its_own_names():
    table = FamilyTable(families=(row("pin", aliases=("post",)), row("banner")))

    assert table.named("post").name == "pin"
    with pytest.raises(UnknownFamily, match=r"^unknown family 'square': use one of pin, banner$"):
        table.named("square")


@pytest.mark.parametrize(("names", "default"), [(("pin", "square"), "square"), (("pin", "banner"), "pin")])
def test_who_names_no_family_gets_square_or_else_the_first(names, default):
    assert FamilyTable(families=tuple(row(name) for name in names)).default == default


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((row("pin"), row("pin")), "'pin' is said 2 times among the families' names and aliases"),
        ((row("pin"), row("Pin")), "'pin' is said 2 times"),
        ((row("pin", aliases=("post",)), row("post")), "'post' is said 2 times"),
        ((row("pin", aliases=("pin",)),), "'pin' is said 2 times"),
        ((row("pin", "card", "CARD"),), "pin has 2 derivatives 'card'; each needs a name of its own there"),
        ((row("pin", "Pin"),), "pin has a derivative 'pin', which is the name of its master; call it otherwise"),
        ((row("pin", "post", aliases=("post",)),), "pin has a derivative 'post', which is the name of its master"),
    ],
)
def test_a_name_that_could_mean_two_things_is_refused(rows, said):
    with pytest.raises(ValidationError) as refusal:
        FamilyTable(families=rows)

    assert said in str(refusal.value)


def test_everything_that_is_wrong_with_a_table_is_said_at_once():
    with pytest.raises(ValidationError, match=r"'pin' is said 2 times.*; pin has 2 derivatives 'card'"):
        FamilyTable(families=(row("pin", "card", "card"), row("pin")))


def test_a_table_has_a_family():
    with pytest.raises(ValidationError, match="at least 1"):
        FamilyTable(families=())


def test_two_families_may_have_a_derivative_of_one_name_and_one_may_have_the_name_of_another_family():
    assert FamilyTable(families=(row("pin", "card", "banner"), row("banner", "card"))).names == ("pin", "banner")


@pytest.mark.parametrize("name", MASTERS)
def test_a_familys_name_is_its_master(name):
    assert picture_named(name, ALL) == PictureName(family=name)


@pytest.mark.parametrize("alias", ["facebook", "social"])
def test_an_alias_is_the_master_of_its_family(alias):
    assert picture_named(alias, ["facebook-og"]) == PictureName(family="facebook-og")


@pytest.mark.parametrize(
    ("family", "name"), [(family, name) for family, names in DERIVATIVES.items() for name in names]
)
def test_family_dot_derivative_is_exact_whatever_else_was_requested(family, name):
    assert picture_named(f"{family}.{name}", ALL) == PictureName(family=family, derivative=name)
    assert picture_named(f"{family}.{name}", [family]) == PictureName(family=family, derivative=name)


def test_the_exact_form_takes_an_alias_too():
    assert picture_named("social.linkedin", ALL) == PictureName(family="facebook-og", derivative="linkedin")


def test_hero_is_the_family_where_it_was_requested_and_else_the_landscape_derivative():
    assert picture_named("hero", ["landscape", "hero"]) == PictureName(family="hero")
    assert picture_named("hero", ["hero", "landscape"]) == PictureName(family="hero")
    assert picture_named("hero", ["landscape"]) == PictureName(family="landscape", derivative="hero")
    assert picture_named("landscape.hero", ["landscape", "hero"]) == PictureName(family="landscape", derivative="hero")


def test_only_hero_means_two_things_in_the_table_and_no_bare_name_is_ambiguous():
    owners = {
        name: [f for f, names in DERIVATIVES.items() if name in names] for f in DERIVATIVES.values() for name in f
    }

    assert [name for name, families in owners.items() if len(families) > 1] == []
    assert set(owners) & set(MASTERS) == {"hero"}
    for name, (family,) in owners.items():
        expected = PictureName(family="hero") if name == "hero" else PictureName(family=family, derivative=name)
        assert picture_named(name, ALL) == expected


def test_a_bare_name_that_two_requested_families_share_is_refused_with_the_exact_names():
    card = Derivative(name="card", size=Dimensions(width=10, height=10))
    table = {
        name: Family(name=name, ratio="1:1", master=Dimensions(width=10, height=10), derivatives=(card,))
        for name in ("left", "right", "third")
    }

    with pytest.raises(AmbiguousName) as refusal:
        picture_named("card", ["right", "left"], families=table)

    assert str(refusal.value) == "'card' is ambiguous here: use left.card or right.card"
    assert picture_named("card", ["left"], families=table) == PictureName(family="left", derivative="card")
    assert picture_named("right.card", ["right", "left"], families=table) == PictureName(
        family="right", derivative="card"
    )


def test_a_family_requested_twice_makes_no_name_ambiguous():
    assert picture_named("banner", ["landscape", "landscape"]) == PictureName(family="landscape", derivative="banner")


@pytest.mark.parametrize(
    ("name", "requested"),
    [
        ("square", ["landscape"]),
        ("profile", ["landscape"]),
        ("square.profile", ["landscape"]),
        ("square.banner", ALL),
        ("square.", ALL),
        (".profile", ALL),
        ("square.profile.webp", ALL),
        ("nothing", ALL),
        ("", ALL),
        ("nothing", ["a family of another table"]),
        ("a family of another table", ["a family of another table"]),
        ("square", []),
    ],
)
def test_a_name_that_no_requested_family_has_means_nothing(name, requested):
    assert picture_named(name, requested) is None
