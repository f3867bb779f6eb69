"""The working tree's messages against those of the last release, in baseline/.

The baseline changes only when a release is cut, by copying what that release ships:
`cp libs/contracts/src/imagetron_contracts/schemas/*.v*.json tests/contract/messages/baseline/`.
A test that fails here is answered with an addition instead, or with a new major version beside the old one; never with
a new baseline.
"""

import copy
import json
from pathlib import Path

import pytest

from imagetron_contracts.compatibility import breaking_changes_of_all
from imagetron_contracts.envelope import MESSAGE_TYPES
from imagetron_contracts.json_schemas import all_schemas
from imagetron_contracts.topology import Exchange, exchange_of, routing_keys

BASELINE = {
    path.name.removesuffix(".json"): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "baseline").glob("*.json"))
}
# Subscribers outside this repository bind these names: a removal is a breaking change like any other.
PUBLIC_ROUTING_KEYS = {
    "VARIATION_STARTED": "image.variation.started.v1",
    "FAMILY_COMPLETED": "image.family.completed.v1",
    "FAMILY_FAILED": "image.family.failed.v1",
    "VARIATION_COMPLETED": "image.variation.completed.v1",
    "VARIATION_PARTIAL": "image.variation.partial.v1",
    "VARIATION_FAILED": "image.variation.failed.v1",
    "VARIATION_CANCELLED": "image.variation.cancelled.v1",
}
# Each with the reason why nobody breaks. Private messages only: nobody knows who reads a public one.
ACCEPTED = {
    # Sent only for jobs that ask for AVIF, which a gateway takes in once it is new itself; workers are updated before it.
    "derivatives-rendered.v1: images[].files[].format may now be 'avif': readers that check the old list refuse it",
    "family-published.v1: images[].files[].format may now be 'avif': readers that check the old list refuse it",
}


def test_no_message_broke_since_the_last_release():
    assert set(breaking_changes_of_all(BASELINE, all_schemas())) == ACCEPTED


def test_what_is_accepted_breaks_no_public_event():
    public = {message.schema_name() for message in MESSAGE_TYPES.values() if exchange_of(message) is Exchange.EVENTS}

    assert not {change.partition(":")[0] for change in ACCEPTED} & public


def test_the_baseline_has_the_envelope_and_the_public_events():
    assert {"envelope.v1", "variation-completed.v1", "family-completed.v1"} <= set(BASELINE)


@pytest.mark.parametrize("name", BASELINE)
def test_losing_any_field_of_any_message_would_be_found(name):
    schemas = all_schemas()

    for field in BASELINE[name]["properties"]:
        changed = copy.deepcopy(schemas)
        del changed[name]["properties"][field]

        assert any(
            change.startswith(f"{name}: {field} was removed") for change in breaking_changes_of_all(BASELINE, changed)
        )


@pytest.mark.parametrize(("message_type", "routing_key"), PUBLIC_ROUTING_KEYS.items())
def test_public_events_stay_where_subscribers_bound_them(message_type, routing_key):
    message = MESSAGE_TYPES[message_type]

    assert exchange_of(message) is Exchange.EVENTS
    assert exchange_of(message).value == "imagetron.events"
    assert routing_keys(message) == (routing_key,)
