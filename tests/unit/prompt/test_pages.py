"""How much of a list fits into one message."""

from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_contracts.envelope import MAX_BODY_BYTES, Envelope
from imagetron_contracts.rpc import Source, SubjectsHistory, SubjectsTurn
from imagetron_prompt.domain.pages import fitting
from support.builders import NOW

# Of one to four bytes, and of six where JSON escapes them.
CHARACTERS = st.characters(categories=("L", "S", "Cc"))


def a_turn(topic: str) -> SubjectsTurn:
    return SubjectsTurn(
        id="i" * 36, topic=topic, subjects=(topic,) * 5, source=Source.MODEL, template="subjects@1", created_at=NOW
    )


def size_of(turns: list[SubjectsTurn]) -> int:
    page = SubjectsHistory(turns=tuple(turns), next="n" * 120)
    envelope = Envelope.wrap(page, message_id="m" * 36, source="imagetron/prompt", time=NOW, job_id="j" * 36)
    trace = {"traceparent": "t" * 55, "causationid": "c" * 36}
    return len(envelope.model_copy(update=trace).encode())


@settings(deadline=None)
@given(
    st.lists(
        st.builds(lambda character, times: a_turn(character * times), CHARACTERS, st.integers(1, 1500)), max_size=40
    )
)
def test_what_fits_fits_and_at_least_one_does(turns):
    count = fitting(turns)

    assert size_of(turns[:count]) < MAX_BODY_BYTES
    assert count > 0 or not turns


def test_as_many_as_possible_fit():
    turns = [a_turn("💥" * 500)] * 10

    count = fitting(turns)

    assert 1 < count < 10
    assert size_of(turns[: count + 1]) > MAX_BODY_BYTES - 4096


def test_one_that_is_larger_than_the_room_is_shown_all_the_same():
    assert fitting([a_turn("x" * 20_000), a_turn("x")]) == 1
