from datetime import UTC, datetime

from imagetron_cli.events import Heard, missing_events
from imagetron_contracts import Envelope, FamilyCompleted, Message, VariationCompleted, VariationStarted

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
WANTED = [(JOB, ("square",))]


def an_event(data: Message) -> Envelope:
    return Envelope.wrap(data, message_id="1", source="gateway", time=datetime(2026, 1, 1, tzinfo=UTC), job_id=JOB)


EVERYTHING = [
    an_event(VariationStarted(variation_id=JOB, name="beach", family_count=1)),
    an_event(FamilyCompleted(variation_id=JOB, family_name="square", public_url="http://cdn/1")),
    an_event(VariationCompleted(variation_id=JOB, name="beach", category="demo", public_urls={})),
]


def test_a_complete_variation_publishes_its_start_its_families_and_its_end():
    assert missing_events(EVERYTHING, WANTED) == []


def test_what_was_not_heard_is_named():
    assert missing_events(EVERYTHING[::2], WANTED) == [f"FAMILY_COMPLETED of square {JOB}"]
    assert missing_events([], WANTED)[0] == f"VARIATION_STARTED of the variation {JOB}"


def test_events_of_another_variation_do_not_count():
    assert len(missing_events(EVERYTHING, [("another", ("square",))])) == 3


async def test_waiting_ends_when_everything_was_heard():
    heard = Heard()
    for event in EVERYTHING:
        await heard.add(event)

    assert await heard.missing(WANTED, within_seconds=5) == []


async def test_waiting_ends_when_the_time_is_up():
    assert len(await Heard().missing(WANTED, within_seconds=0)) == 3
