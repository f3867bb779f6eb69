"""The structure of the AsyncAPI 3.0 documents. There is no validator to ask, so this asks for what the standard does."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from imagetron_contracts.asyncapi import private_document, public_document
from imagetron_contracts.events import EVENTS
from imagetron_contracts.rpc import RPC
from imagetron_contracts.stages import HINTS, STAGE_MESSAGES
from imagetron_contracts.topology import QUEUES, Exchange

DOCUMENTS = {"public": public_document(), "private": private_document()}
every_document = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)


def references_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for inner in value.values() for found in references_in(inner)]
    return [found for inner in value for found in references_in(inner)] if isinstance(value, list) else []


def behind(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    target: Any = document
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


@every_document
def test_the_root_has_what_asyncapi_3_requires(document):
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["title"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", document["info"]["version"])
    assert document["defaultContentType"] == "application/cloudevents+json"
    assert set(document) <= {
        *("asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components")
    }


@every_document
def test_every_server_has_a_host_and_a_protocol_and_its_variables_are_declared(document):
    for server in document["servers"].values():
        assert server["protocol"] == "amqp"
        assert set(re.findall(r"{(\w+)}", server["host"])) == set(server["variables"])


@every_document
def test_every_reference_leads_somewhere_in_the_document(document):
    references = references_in(document)

    assert references
    assert all(isinstance(behind(document, reference), dict) for reference in references)


@every_document
def test_every_channel_has_an_address_messages_of_the_components_and_an_amqp_binding(document):
    for channel in document["channels"].values():
        assert "address" in channel
        assert channel["messages"]
        for name, reference in channel["messages"].items():
            assert reference == {"$ref": f"#/components/messages/{name}"}
        binding = channel.get("bindings", {"amqp": {"is": "reply"}})["amqp"]
        assert binding["is"] in {"routingKey", "queue", "reply"}
        if binding["is"] == "routingKey":
            assert set(binding["exchange"]) == {"name", "type", "durable", "autoDelete"}


@every_document
def test_every_operation_acts_on_messages_of_its_own_channel(document):
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


@every_document
def test_every_message_has_a_payload_that_its_example_fits(document):
    for name, message in document["components"]["messages"].items():
        assert message["contentType"] == "application/cloudevents+json"
        schema = {"$defs": document["components"]["schemas"], **message["payload"]}
        resolved = replaced(schema)
        Draft202012Validator.check_schema(resolved)
        for example in message["examples"]:
            assert example["payload"]["type"] == name
            Draft202012Validator(resolved).validate(example["payload"])
            wrong = example["payload"] | {"type": "ANOTHER"}
            assert not Draft202012Validator(resolved).is_valid(wrong)


def replaced(value: Any) -> Any:
    """The same schema, with references that a validator of JSON Schema alone can follow."""
    if isinstance(value, dict):
        return {name: replaced(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner) for inner in value]
    return value.replace("#/components/schemas/", "#/$defs/") if isinstance(value, str) else value


@every_document
def test_names_in_the_components_have_letters_that_asyncapi_allows(document):
    names = [name for shelf in document["components"].values() for name in shelf]

    assert [name for name in names if not re.fullmatch(r"[\w.-]+", name)] == []


def test_the_public_document_has_one_durable_topic_channel_for_each_event():
    channels = DOCUMENTS["public"]["channels"]

    assert {channel["address"]: list(channel["messages"]) for channel in channels.values()} == {
        event.ROUTING_KEY: [event.TYPE] for event in EVENTS
    }
    for channel in channels.values():
        assert channel["bindings"]["amqp"]["exchange"] == {
            "name": "imagetron.events",
            "type": "topic",
            "durable": True,
            "autoDelete": False,
        }


def test_public_events_are_persistent_and_nobody_has_to_listen():
    operations = DOCUMENTS["public"]["operations"].values()

    assert {operation["action"] for operation in operations} == {"send"}
    assert {operation["bindings"]["amqp"]["deliveryMode"] for operation in operations} == {2}
    assert {operation["bindings"]["amqp"]["mandatory"] for operation in operations} == {False}


def test_the_public_document_says_nothing_of_the_private_messages():
    assert set(DOCUMENTS["public"]["components"]["messages"]) == {event.TYPE for event in EVENTS}
    assert "RenderSpec" not in DOCUMENTS["public"]["components"]["schemas"]
    assert "imagetron.stages" not in str(DOCUMENTS["public"])


def test_the_private_document_has_every_other_message_and_every_queue():
    document = DOCUMENTS["private"]

    assert set(document["components"]["messages"]) == {message.TYPE for message in (*STAGE_MESSAGES, *HINTS, *RPC)}
    assert {f"queue.{queue.name}" for queue in QUEUES} <= set(document["channels"])
    assert {f"receive.{queue.name}" for queue in QUEUES} <= set(document["operations"])


def test_private_channels_say_how_their_exchange_treats_messages():
    operations = DOCUMENTS["private"]["operations"]

    assert operations["send.family.requested.batch"]["bindings"]["amqp"]["mandatory"] is True
    assert operations["send.family.requested.batch"]["bindings"]["amqp"]["deliveryMode"] == 2
    assert operations["send.progress"]["bindings"]["amqp"]["mandatory"] is False
    assert operations["send.progress"]["bindings"]["amqp"]["deliveryMode"] == 1
    assert operations["send.progress"]["tags"] == [{"name": Exchange.HINTS.value}]
    channel = DOCUMENTS["private"]["channels"]["prompt.describe"]
    assert channel["bindings"]["amqp"]["exchange"]["type"] == "direct"


def test_a_request_to_the_prompt_service_says_where_its_reply_goes():
    reply = DOCUMENTS["private"]["operations"]["receive.prompt.describe"]["reply"]

    assert reply["address"] == {"location": "$message.header#/replyTo"}
    names = [message["$ref"].rpartition("/")[2] for message in reply["messages"]]
    assert set(names) == {"PROMPTS_DESCRIBED", "REQUEST_REFUSED"}
    assert DOCUMENTS["private"]["channels"]["prompt.replies"]["address"] is None
