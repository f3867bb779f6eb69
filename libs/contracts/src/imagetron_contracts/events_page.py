"""The page docs/events.md, made from the models: public events in full, private messages in brief. No files here."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from imagetron_contracts.envelope import UntypedEnvelope
from imagetron_contracts.events import EVENTS
from imagetron_contracts.examples import example_envelope
from imagetron_contracts.json_schemas import ENVELOPE_SCHEMA, Schema, schema_of
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import RPC
from imagetron_contracts.stages import HINTS, STAGE_MESSAGES
from imagetron_contracts.topology import QUEUES, RPC_QUEUES, Exchange, Queue, RpcQueue, routing_keys

_OPENING: Final = f"""\
# Events

<!-- Made by `python -m imagetron_contracts.export --page docs/events.md`. Change the models, not this page. -->

Everything that happens to a variation is published on the durable topic exchange `{Exchange.EVENTS}`. Bind a queue of
your own with `image.#`, or with the routing keys you need. Two subscribers of about twenty lines are in
[examples](examples). The JSON Schemas and the AsyncAPI 3.0 document travel with the package `imagetron-contracts`, in
`imagetron_contracts/schemas`.

- **At least once.** A message may come again, also after later ones. The same fact has the same `id`: drop what you have seen.
- **Order.** `sequence` counts the events of one variation, dense and increasing, and sorts as text. There is no order
  between variations.
- **Evolution.** Fields are only ever added; ignore what you do not know. A change of meaning is a new major version under
  a new routing key, published beside the old one.
- **Privacy.** Private jobs emit no events, and no event holds a prompt. URLs are absolute and immutable.
- Nobody listening is normal: events are not kept for queues that do not exist yet.
"""


def events_page() -> str:
    """The whole page, in Markdown."""
    parts = [
        _OPENING,
        "## The envelope\n",
        "CloudEvents 1.0, structured JSON: the body holds everything. Attributes without a value are left out.\n",
        *_field_table(schema_of(UntypedEnvelope, ENVELOPE_SCHEMA)),
        "## Public events\n",
        "| type | routing key | meaning |",
        "| --- | --- | --- |",
        *(f"| [{event.TYPE}](#{event.TYPE.lower()}) | `{event.ROUTING_KEY}` | {event.__doc__} |" for event in EVENTS),
        "",
        *(line for event in EVENTS for line in _section(event)),
        "## Private messages\n",
        "For our own services alone; they change without notice.\n",
        f"### Work, on `{Exchange.STAGES}`\n",
        *_brief(STAGE_MESSAGES),
        f"### Hints, on `{Exchange.HINTS}`: they may be lost\n",
        *_brief(HINTS),
        f"### Requests to the prompt service, on `{Exchange.PROMPTS}`, and their replies\n",
        *_brief(RPC),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _section(event: type[Message]) -> Iterator[str]:
    schema = schema_of(event, event.schema_name())
    yield f"### {event.TYPE}\n"
    yield f"{event.__doc__} Routing key `{event.ROUTING_KEY}`, schema `{schema['$id']}`.\n"
    yield from _field_table(schema)
    for name, definition in schema.get("$defs", {}).items():
        if "enum" in definition:
            yield f"{name}: {', '.join(f'`{word}`' for word in definition['enum'])}.\n"
        else:
            yield f"{name}: {definition['description']}\n"
            yield from _field_table(definition)
    yield "```json"
    yield json.dumps(json.loads(example_envelope(event).encode()), indent=2)
    yield "```\n"


def _field_table(schema: Schema) -> Iterator[str]:
    required = schema.get("required", [])
    yield "| field | type | always there | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in schema["properties"].items():
        always = "yes" if name in required else "no"
        yield f"| `{name}` | {_type_of(field)} | {always} | {field.get('description', '')} |"
    yield ""


def _type_of(field: Schema) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "const" in field:
        return f"`{field['const']}`"
    if field["type"] == "array":
        return f"list of {_type_of(field['items'])}"
    if field["type"] == "object":
        return f"map of {values}" if (values := _values_of(field["additionalProperties"])) else "object"
    return str(field.get("format", field["type"]))


def _values_of(additional: Any) -> str | None:  # noqa: ANN401 - JSON Schema allows a boolean or a schema here
    return _type_of(additional) if isinstance(additional, dict) else None


def _brief(messages: Iterable[type[Message]]) -> Iterator[str]:
    yield "| type | routing key | queues | meaning |"
    yield "| --- | --- | --- | --- |"
    for message in messages:
        everywhere: tuple[Queue | RpcQueue, ...] = (*QUEUES, *RPC_QUEUES)
        queues = [queue.name for queue in everywhere if queue.message is message]
        names, keys = (", ".join(f"`{word}`" for word in words) for words in (queues, routing_keys(message)))
        yield f"| {message.TYPE} | {keys} | {names} | {message.__doc__} |"
    yield ""
