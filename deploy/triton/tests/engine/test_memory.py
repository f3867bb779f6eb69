"""The shelf: what stays, what goes, and what never does."""

import pytest
from diffusion.failures import OutOfMemory
from diffusion.memory import Shelf


@pytest.fixture
def released() -> list[str]:
    return []


@pytest.fixture
def shelf(released) -> Shelf[str]:
    """Room for ten."""
    return Shelf(room=lambda kept: 10 - kept, release=lambda: released.append("once"))


def use(shelf: Shelf[str], name: str, size: int = 4) -> str:
    with shelf.borrowed(name, size, lambda: f"{name} itself") as thing:
        return thing


def test_a_thing_is_loaded_once(shelf):
    use(shelf, "a")

    with shelf.borrowed("a", 4, lambda: pytest.fail("it lies there")) as thing:
        assert thing == "a itself"


def test_the_least_recently_used_makes_room_and_its_memory_is_released(shelf, released):
    for name in ("a", "b", "a", "c"):
        use(shelf, name)

    assert shelf.names == ["a", "c"]
    assert released == ["once"]


def test_as_many_go_as_must(shelf):
    for name in ("a", "b"):
        use(shelf, name)

    use(shelf, "c", 9)

    assert shelf.names == ["c"]


def test_what_is_in_use_stays_and_the_newcomer_is_refused(shelf):
    with shelf.borrowed("a", 8, lambda: "a"), pytest.raises(OutOfMemory, match="1 other checkpoints are in use"):
        use(shelf, "b")

    assert shelf.names == ["a"]
    assert use(shelf, "b") == "b itself"


def test_what_cannot_be_loaded_leaves_no_trace(shelf, released):
    def fail() -> str:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), shelf.borrowed("a", 4, fail):
        pytest.fail("there is nothing to use")

    assert shelf.names == []
    assert released == ["once"]


def test_clearing_puts_away_all_but_what_is_in_use(shelf):
    use(shelf, "a")
    with shelf.borrowed("b", 4, lambda: "b"):
        shelf.clear()

        assert shelf.names == ["b"]
