"""The one table of exchanges and queues."""

import pytest

from imagetron_contracts import topology
from imagetron_contracts.envelope import MESSAGE_TYPES
from imagetron_contracts.events import EVENTS
from imagetron_contracts.rpc import REQUESTS, RPC, RequestRefused
from imagetron_contracts.stages import HINTS, STAGE_MESSAGES, FamilyRequested, FamilyStarted, Lane, Pool
from imagetron_contracts.topology import (
    QUEUES,
    RETRY_DELAYS_SECONDS,
    RPC_QUEUES,
    Exchange,
    HintQueue,
    Queue,
    delay_queue,
    exchange_of,
    routing_keys,
    rpc_queue_of,
)

QUEUE_NAMES = {
    "generator.family-requested.interactive": "family.requested.interactive",
    "generator.family-requested.batch": "family.requested.batch",
    "generator.family-requested.external": "family.requested.external",
    "generator.provider-callback": "provider.callback",
    "deriver.renders-generated": "renders.generated",
    "deriver.derivatives-requested": "derivatives.requested",
    "publisher.derivatives-rendered": "derivatives.rendered",
    "publisher.objects-discarded": "objects.discarded",
    "gateway.family-started": "family.started",
    "gateway.renders-generated": "renders.generated",
    "gateway.derivatives-rendered": "derivatives.rendered",
    "gateway.family-published": "family.published",
    "gateway.stage-failed": "stage.failed",
}
EVERYTHING = [value for value in vars(topology).values() if isinstance(value, Queue)]


def test_the_queues_and_what_they_are_bound_to():
    assert {queue.name: queue.routing_key for queue in QUEUES} == QUEUE_NAMES


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_queue_is_named_by_its_consumer_its_message_and_its_lane_or_pool(queue):
    last = [queue.lane.value] if queue.lane else [queue.pool.value] if queue.pool is not Pool.GPU else []
    words = [queue.consumer, queue.message.TYPE.lower().replace("_", "-"), *last]

    assert queue.name == ".".join(words)
    assert queue.dead_letters == f"{queue.name}.dead"
    assert queue.exchange is Exchange.STAGES


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_queue_is_bound_to_a_routing_key_that_its_message_carries(queue):
    assert queue.routing_key in routing_keys(queue.message)


def test_no_two_queues_have_one_name():
    names = [name for queue in QUEUES for name in (queue.name, queue.dead_letters)]
    names += [queue.name for queue in RPC_QUEUES]
    names += [delay_queue(seconds) for seconds in RETRY_DELAYS_SECONDS]

    assert len(names) == len(set(names))


def test_every_queue_of_the_module_is_in_the_table():
    assert {queue.name for queue in EVERYTHING} == {queue.name for queue in QUEUES}


@pytest.mark.parametrize("message", STAGE_MESSAGES, ids=lambda message: message.TYPE)
def test_every_routing_key_of_a_stage_message_has_a_consumers_queue(message):
    bound = {queue.routing_key for queue in QUEUES if queue.message is message}

    assert bound == set(routing_keys(message))


@pytest.mark.parametrize("message", HINTS, ids=lambda message: message.TYPE)
def test_every_hint_can_be_heard(message):
    heard = [value for value in vars(topology).values() if isinstance(value, HintQueue) and value.message is message]

    assert [queue.routing_key for queue in heard] == [message.ROUTING_KEY]


def test_a_request_has_one_routing_key_for_each_lane_and_one_for_other_peoples_servers_and_other_messages_have_one():
    lanes = [lane.value for lane in Lane]
    assert routing_keys(FamilyRequested) == tuple(f"family.requested.{where}" for where in [*lanes, "external"])
    assert routing_keys(FamilyStarted) == ("family.started",)
    assert routing_keys(EVENTS[0]) == ("image.variation.started.v1",)


def test_every_message_has_the_exchange_of_its_kind():
    expected = {
        Exchange.EVENTS: set(EVENTS),
        Exchange.STAGES: set(STAGE_MESSAGES),
        Exchange.HINTS: set(HINTS),
        Exchange.PROMPTS: set(RPC),
    }

    assert {message: exchange_of(message) for message in MESSAGE_TYPES.values()} == {
        message: exchange for exchange, messages in expected.items() for message in messages
    }


def test_exchanges_have_these_names():
    assert [exchange.value for exchange in Exchange] == [
        "imagetron.events",
        "imagetron.stages",
        "imagetron.hints",
        "imagetron.prompts",
        "imagetron.dead",
    ]


def test_requests_to_the_prompt_service_expire_with_the_patience_of_their_callers():
    patience = {queue.name: queue.time_to_live_seconds for queue in RPC_QUEUES}

    assert patience.pop("prompt.enhance") == 0.25
    assert set(patience.values()) == {5}
    assert [queue.message for queue in RPC_QUEUES] == list(REQUESTS)
    assert all(rpc_queue_of(request).message is request for request in REQUESTS)


def test_requests_that_have_a_language_model_write_are_those_that_cost_money():
    assert {queue.name for queue in RPC_QUEUES if queue.is_paid} == {
        "prompt.enhance",
        "prompt.subjects.propose",
        "prompt.write",
        "prompt.retitle",
    }


def test_every_request_has_a_reply_and_may_be_refused():
    assert set(RPC) == {*REQUESTS, *(request.REPLY for request in REQUESTS), RequestRefused}


def test_there_is_one_delay_queue_for_each_delay_named_as_people_say_it():
    assert [delay_queue(seconds) for seconds in RETRY_DELAYS_SECONDS] == [
        "imagetron.delay.5s",
        "imagetron.delay.30s",
        "imagetron.delay.2m",
        "imagetron.delay.10m",
    ]


def test_a_delay_of_a_minute_and_a_half_is_said_in_seconds():
    assert delay_queue(90) == "imagetron.delay.90s"


def test_no_two_message_types_share_a_type_a_schema_or_a_routing_key():
    messages = (*EVENTS, *STAGE_MESSAGES, *HINTS, *RPC)

    assert len(MESSAGE_TYPES) == len(messages)
    assert len({message.schema_name() for message in messages}) == len(messages)
    assert len({(exchange_of(message), key) for message in messages for key in routing_keys(message)}) == len(
        messages
    ) + len(Lane)
