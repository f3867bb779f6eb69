"""Who enters the broker next: a bounded window, owners in turn, oldest first within an owner."""

from hypothesis import given
from hypothesis import strategies as st

from imagetron_gateway.domain.admission import Candidate, choose


def waiting(*owners: str) -> list[Candidate]:
    """One candidate for each letter, named by owner and place: a0, a1, b2, ..."""
    return [Candidate(job_id=f"{owner}{place}", family="square", owner=owner) for place, owner in enumerate(owners)]


def ids(chosen: list[Candidate]) -> list[str]:
    return [candidate.job_id for candidate in chosen]


def test_nobody_waits_nobody_enters():
    assert choose([], window=5, in_flight=0) == []


def test_owners_enter_in_turn_whatever_their_backlog():
    assert ids(choose(waiting(*"aaaab"), window=3, in_flight=0)) == ["a0", "b4", "a1"]


def test_an_owners_candidates_enter_in_their_order():
    assert ids(choose(waiting(*"abab"), window=9, in_flight=0)) == ["a0", "b1", "a2", "b3"]


def test_the_owner_who_has_waited_longest_is_first():
    assert ids(choose(waiting(*"ba"), window=1, in_flight=0)) == ["b0"]


def test_the_window_leaves_room_only_for_what_is_not_in_flight():
    assert ids(choose(waiting(*"abc"), window=5, in_flight=4)) == ["a0"]


def test_a_full_or_overfull_window_lets_nobody_in():
    assert choose(waiting("a"), window=5, in_flight=5) == []
    assert choose(waiting("a"), window=5, in_flight=9) == []


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.integers(0, 20), st.integers(0, 20))
def test_no_owner_is_two_turns_ahead_of_another_who_still_waits(owners, window, in_flight):
    candidates = waiting(*owners)
    chosen = choose(candidates, window=window, in_flight=in_flight)
    entered = {owner: sum(candidate.owner == owner for candidate in chosen) for owner in owners}

    assert len(chosen) == min(len(candidates), max(0, window - in_flight))
    assert len(set(chosen)) == len(chosen)
    for owner in owners:
        own = [candidate for candidate in candidates if candidate.owner == owner]
        assert [candidate for candidate in chosen if candidate.owner == owner] == own[: entered[owner]]
        still_waits = entered[owner] < len(own)
        assert not still_waits or max(entered.values()) <= entered[owner] + 1
