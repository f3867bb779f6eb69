"""The AsyncAPI 3.0 documents: the public events for every team, the private messages for ourselves. No files here."""

import json
from collections.abc import Iterable
from typing import Any, Final

from imagetron_contracts.envelope import CONTENT_TYPE, SCHEMA_URN, UntypedEnvelope
from imagetron_contracts.events import EVENTS
from imagetron_contracts.examples import example_envelope
from imagetron_contracts.json_schemas import shared_schemas
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import REPLIES, REQUESTS, RPC, RequestRefused
from imagetron_contracts.stages import HINTS, STAGE_MESSAGES
from imagetron_contracts.topology import QUEUES, RPC_QUEUES, Exchange, Queue, RpcQueue, exchange_of, routing_keys

Document = dict[str, Any]

VERSION: Final = "1.0.0"
"""Of the documents: the middle number grows with every addition, the first with a message's major version."""

_BINDING: Final = "0.3.0"
_DIRECT: Final = frozenset({Exchange.PROMPTS, Exchange.DEAD})
_REPLIES: Final = "prompt.replies"


def public_document() -> Document:
    """What everybody may bind to."""
    channels = {message.ROUTING_KEY: _exchange_channel(message, message.ROUTING_KEY) for message in EVENTS}
    operations = {f"send.{message.ROUTING_KEY}": _send(message, message.ROUTING_KEY) for message in EVENTS}
    return _document(
        "Imagetron events",
        "Facts about variations of pictures and their families. Bind a queue of your own to the topic exchange "
        f"`{Exchange.EVENTS}`, with `image.#` for everything. Delivery is at least once; drop an `id` that you have "
        "seen. `sequence` orders the events of one variation. Private jobs emit no events.",
        messages=EVENTS,
        channels=channels,
        operations=operations,
    )


def private_document() -> Document:
    """How our own services talk. Nobody else may rely on it."""
    messages = (*STAGE_MESSAGES, *HINTS, *RPC)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    # A reply goes to the address in its request, not to an exchange.
    for message in (*STAGE_MESSAGES, *HINTS, *REQUESTS):
        for key in routing_keys(message):
            channels[key] = _exchange_channel(message, key)
            operations[f"send.{key}"] = _send(message, key)
    for queue in QUEUES:
        channels[f"queue.{queue.name}"] = _queue_channel(queue)
        operations[f"receive.{queue.name}"] = _receive(queue)
    channels[_REPLIES] = {
        "address": None,
        "description": "The queue that the request's reply-to property names.",
        "messages": _message_references(REPLIES),
    }
    for request in RPC_QUEUES:
        channels[f"queue.{request.name}"] = _queue_channel(request)
        operations[f"receive.{request.name}"] = {
            **_receive(request),
            "reply": _reply((request.message.REPLY, RequestRefused)),
        }
    return _document(
        "Imagetron's private messages",
        "Work between Imagetron's services, hints that may be lost, and requests to the prompt service. "
        "They change without notice: subscribe to the public events instead.",
        messages=messages,
        channels=channels,
        operations=operations,
    )


def _document(
    title: str, description: str, *, messages: Iterable[type[Message]], channels: Document, operations: Document
) -> Document:
    messages = tuple(messages)
    schemas = shared_schemas((*messages, UntypedEnvelope), ref_template="#/components/schemas/{model}")
    schemas["Envelope"] = schemas.pop(UntypedEnvelope.__name__)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": VERSION,
            "description": description,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ 3.10 or newer.",
                "variables": {"host": {"default": "localhost:5672", "description": "Where the broker listens."}},
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {message.TYPE: _message(message) for message in messages},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _message(message: type[Message]) -> Document:
    return {
        "name": message.TYPE,
        "title": message.__name__,
        "summary": message.__doc__,
        "contentType": CONTENT_TYPE,
        "tags": [{"name": exchange_of(message).value}],
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": message.TYPE},
                        "dataschema": {"const": SCHEMA_URN + message.schema_name()},
                        "data": {"$ref": f"#/components/schemas/{message.__name__}"},
                    },
                },
            ]
        },
        "examples": [{"name": message.schema_name(), "payload": json.loads(example_envelope(message).encode())}],
    }


def _message_references(messages: Iterable[type[Message]]) -> Document:
    return {message.TYPE: {"$ref": f"#/components/messages/{message.TYPE}"} for message in messages}


def _exchange_channel(message: type[Message], routing_key: str) -> Document:
    exchange = exchange_of(message)
    return {
        "address": routing_key,
        "messages": _message_references([message]),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange.value,
                    "type": "direct" if exchange in _DIRECT else "topic",
                    "durable": True,
                    "autoDelete": False,
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _queue_channel(queue: Queue | RpcQueue) -> Document:
    return {
        "address": queue.name,
        "messages": _message_references([queue.message]),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"name": queue.name, "exclusive": False, "autoDelete": False},
                "bindingVersion": _BINDING,
            }
        },
    }


def _send(message: type[Message], channel: str) -> Document:
    exchange = exchange_of(message)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": message.__doc__,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message.TYPE}"}],
        "tags": [{"name": exchange.value}],
        "bindings": {
            "amqp": {
                "deliveryMode": 2 if exchange in {Exchange.EVENTS, Exchange.STAGES} else 1,
                "mandatory": exchange in {Exchange.STAGES, Exchange.PROMPTS},
                "bindingVersion": _BINDING,
            }
        },
    }


def _receive(queue: Queue | RpcQueue) -> Document:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/queue.{queue.name}"},
        "messages": [{"$ref": f"#/channels/queue.{queue.name}/messages/{queue.message.TYPE}"}],
        "tags": [{"name": exchange_of(queue.message).value}],
        "bindings": {"amqp": {"ack": True, "bindingVersion": _BINDING}},
    }


def _reply(replies: Iterable[type[Message]]) -> Document:
    return {
        "address": {"location": "$message.header#/replyTo"},
        "channel": {"$ref": f"#/channels/{_REPLIES}"},
        "messages": [{"$ref": f"#/channels/{_REPLIES}/messages/{message.TYPE}"} for message in replies],
    }
