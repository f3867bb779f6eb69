"""`/docs`: the OpenAPI document as one page for people. No script, nothing from another host: it works without internet."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

Document = Mapping[str, Any]
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem } h3 { margin: 2.5rem 0 .3rem } h3 code { font-size: 1.05em }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
pre { overflow: auto; padding: .8rem; background: #8882; border-radius: .3rem }
"""


def reference_route(document: Callable[[], Document]) -> Route:
    async def docs(_: Request) -> Response:
        return HTMLResponse(reference_page(document()), headers={"Content-Security-Policy": _POLICY})

    return Route("/docs", docs, include_in_schema=False)


def reference_page(document: Document) -> str:
    """Every operation with its parameters, body and answers, then every schema with its fields."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    parts = [
        f"<h1>{title}</h1><p>{_prose(info['description'].strip())}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>',
        "<h2>Operations</h2>",
        *_operations(document["paths"]),
        "<h2>Schemas</h2>",
        *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>'
    )


def _operations(paths: Document) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{escape(operation['summary'])}</p>"
            parameters = operation.get("parameters", [])
            rows = [(item["name"], item["in"], _type(item["schema"]), _about(item)) for item in parameters]
            yield _table(("parameter", "in", "type", ""), rows)
            if body := operation.get("requestBody"):
                yield f"<p>Body: {_content(body)}</p>"
            answers = sorted(operation["responses"].items())
            yield _table(
                ("answer", "body", ""),
                [(status, _content(answer), _prose(answer.get("description", ""))) for status, answer in answers],
            )


def _schema(name: str, schema: Document) -> str:
    required = schema.get("required", ())
    rows = [
        (field, _type(described) + (", required" if field in required else ""), _about(described))
        for field, described in schema.get("properties", {}).items()
    ]
    examples = "".join(
        f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
        for example in schema.get("examples", ())
    )
    about = _prose(schema.get("description", ""))
    table = _table(("field", "type", ""), rows) if rows else f"<p>{_type(schema)}</p>"
    return f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3><p>{about}</p>{table}{examples}'


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """The first column is text, the others are HTML."""
    if not rows:
        return ""
    top = "".join(f"<th>{name}</th>" for name in head)
    lines = "".join(
        f"<tr><td><code>{escape(first)}</code></td>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    return f"<table><tr>{top}</tr>{lines}</table>"


def _content(described: Document) -> str:
    kinds = described.get("content", {}).items()
    return ", ".join(f"{_type(kind.get('schema', {}))} <code>{escape(media)}</code>".strip() for media, kind in kinds)


def _about(described: Document) -> str:
    """The description, then the limits that a caller must know."""
    bounds = {
        "minimum": "at least",
        "maximum": "at most",
        "maxLength": "at most this many characters:",
        "pattern": "matches",
        "default": "default",
    }
    schema = {**described, **described.get("schema", {})}
    said = [f"{words} <code>{escape(_value(schema[key]))}</code>" for key, words in bounds.items() if key in schema]
    return " ".join([_prose(described.get("description", "")), "; ".join(said)]).strip()


def _prose(text: str) -> str:
    """Text with its `code` as such."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _value(value: object) -> str:
    """As a caller would write it: FastAPI turns whole limits into floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) and value else json.dumps(value)


def _type(schema: Document) -> str:
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(map(_type, choices))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(values := schema.get("additionalProperties"), dict):
        return f"object: name to {_type(values)}"
    return escape(str(schema.get("type", "")))
