"""Documents and filters in SQLite's terms: how a value is stored so that it sorts and compares in SQL. No connection.

SQLite knows neither dates nor booleans in JSON (`json_extract` gives 1 for true), so both are stored as texts behind a
mark; an ordinary text that begins with the mark is stored behind the mark and a space. The mark is the last code point,
so the native order of values is MongoDB's: null, numbers, texts, booleans, dates.
"""

import json
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from typing import Any, Final, assert_never

from imagetron_chassis.documents._rules import BOOLEAN_RANK, DATE_RANK, NUMBER_RANK, TEXT_RANK, type_rank
from imagetron_chassis.documents.port import (
    Document,
    Equals,
    Filter,
    InSet,
    Range,
    Scalar,
    Sort,
    TextContains,
)

Parameter = str | int
Clause = tuple[str, list[Parameter]]

_MARK: Final = "\U0010ffff"
_TEXT: Final = _MARK + " "
_BOOLEAN: Final = _MARK + "0"
_FALSE: Final = _MARK + "00"
_TRUE: Final = _MARK + "01"
_DATE: Final = _MARK + "1"

# What the values of each type lie between, in SQLite's own order.
_BOUNDS: Final[dict[int, tuple[str | None, str | None]]] = {
    NUMBER_RANK: (None, ""),
    TEXT_RANK: ("", _BOOLEAN),
    BOOLEAN_RANK: (_BOOLEAN, _DATE),
    DATE_RANK: (_DATE, None),
}


def encode(document: Document) -> str:
    return json.dumps(_stored(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode(body: str) -> Document:
    document: Document = _loaded(json.loads(body))
    return document


def value(path: str) -> str:
    """The SQL expression of the value at a path that was checked; the very same text in indexes and in queries."""
    return "id" if path == "_id" else f"json_extract(body, {_json_path(path)})"


def is_text(path: str) -> str:
    """The condition that a text lies at the path: not a mark, and no object or list, whose JSON json_extract gives."""
    return f"{_type(path)} = 'text' AND {value(path)} < '{_BOOLEAN}'"


def number(path: str) -> str:
    """The number at the path, null for anything else."""
    return f"CASE WHEN {_type(path)} IN ('integer', 'real') THEN {value(path)} END"


def where(filters: Sequence[Filter], scalars: Container[str] = ()) -> Clause:
    """The condition of a SELECT or DELETE, `1` without filters.

    `scalars` are paths where no object or list ever lies. What is asked of them alone, an index answers without a look
    into the documents, which is what makes a count of many cheap.
    """
    clauses = [_clause(one, scalars) for one in filters]
    if not clauses:
        return "1", []
    return " AND ".join(sql for sql, _ in clauses), [item for _, parameters in clauses for item in parameters]


def order_by(sort: Sort) -> str:
    direction = "DESC" if sort.descending else "ASC"
    return f"{value(sort.path)} {direction}, id {direction}"


def pieces(sort: Sort, last: tuple[Scalar, str] | None) -> list[tuple[Clause, str]]:
    """Conditions and orders that, read one after the other, give what comes after the cursor.

    In each piece an index can begin at the first and needs no sorting. Null sorts first and compares with nothing, so it
    has pieces of its own.
    """
    if last is None:
        return [(("1", []), order_by(sort))]
    at, (sql, parameters), last_id = value(sort.path), literal(last[0]), stored_scalar(last[1])
    sign, by_id = ("<", "id DESC") if sort.descending else (">", "id ASC")
    if last[0] is None:
        same: tuple[Clause, str] = (f"{at} IS NULL AND id {sign} ?", [last_id]), by_id
        return [same] if sort.descending else [same, ((f"{at} IS NOT NULL", []), order_by(sort))]
    rest = f"{at} {sign}= {sql} AND ({at} {sign} {sql} OR id {sign} ?)", [*parameters, *parameters, last_id]
    nulls: list[tuple[Clause, str]] = [((f"{at} IS NULL", []), by_id)] if sort.descending else []
    return [(rest, order_by(sort)), *nulls]


def text_contains(stored: object, folded: str) -> bool:
    """What the SQL function of this name does: letter case of all scripts ignored, nothing in the text is a pattern."""
    text = _loaded(stored)
    return isinstance(text, str) and folded in text.casefold()


def literal(scalar: Scalar) -> Clause:
    """A value as SQL. SQLite reads a number out of JSON by its own routine, so a float must take the same way."""
    if isinstance(scalar, float):
        return "json_extract(?, '$')", [json.dumps(scalar)]
    return "?", [stored_scalar(scalar)]


def stored_scalar(scalar: Scalar) -> Any:  # noqa: ANN401 - what json and sqlite3 both take
    if isinstance(scalar, bool):
        return _TRUE if scalar else _FALSE
    if isinstance(scalar, str):
        return _TEXT + scalar if scalar[:1] == _MARK else scalar
    if isinstance(scalar, datetime):
        # Naive and of fixed width, so that these texts sort by time.
        return _DATE + scalar.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return scalar


def loaded_text(stored: str) -> str:
    return stored.removeprefix(_TEXT)


def _stored(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    kind = type(part)
    if kind is dict:
        return {key: _stored(item) for key, item in part.items()}
    if kind is list:
        return [_stored(item) for item in part]
    if kind is str and part[:1] != _MARK:
        return part
    return stored_scalar(part)


def _loaded(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    kind = type(part)
    if kind is str:
        return part if part[:1] != _MARK else _loaded_text(part)
    if kind is dict:
        return {key: _loaded(item) for key, item in part.items()}
    if kind is list:
        return [_loaded(item) for item in part]
    return part


def _loaded_text(text: str) -> str | bool | datetime:
    if text.startswith(_TEXT):
        return loaded_text(text)
    if text.startswith(_DATE):
        return datetime.fromisoformat(text.removeprefix(_DATE)).replace(tzinfo=UTC)
    return text == _TRUE


def _type(path: str) -> str:
    return f"json_type(body, {_json_path(path)})"


def _json_path(path: str) -> str:
    return "'$.{}'".format(".".join(f'"{segment}"' for segment in path.split(".")))


def _clause(one: Filter, scalars: Container[str]) -> Clause:
    at = value(one.path)
    match one:
        case Equals(_, None):
            return f"{at} IS NULL", []
        case Equals(path, wanted):
            sql, parameters = literal(wanted)
            return _only_text(path, wanted, f"{at} = {sql}", scalars), parameters
        case InSet(path, values):
            texts = json.dumps(sorted(stored_scalar(text) for text in values), ensure_ascii=False)
            return _only_text(path, "", f"{at} IN (SELECT value FROM json_each(?))", scalars), [texts]  # noqa: S608
        case Range(_, None, None):
            return f"{at} IS NOT NULL", []
        case Range(path, at_least, below):
            return _between(path, at_least, below, scalars)
        case TextContains(path, text):
            return _only_text(path, "", f"text_contains({at}, ?)", scalars), [text.casefold()]
        case _:
            assert_never(one)


def _between(path: str, at_least: Scalar, below: Scalar, scalars: Container[str]) -> Clause:
    at, example = value(path), below if at_least is None else at_least
    lowest, end = _BOUNDS[type_rank(example)]
    parts: list[Clause] = []
    for sign, given, bound in ((">=", at_least, lowest), ("<", below, end)):
        if given is not None:
            sql, parameters = literal(given)
            parts.append((f"{at} {sign} {sql}", parameters))
        elif bound is not None:
            parts.append((f"{at} {sign} ?", [bound]))
    condition = " AND ".join(sql for sql, _ in parts)
    return _only_text(path, example, condition, scalars), [item for _, parameters in parts for item in parameters]


def _only_text(path: str, example: Scalar, sql: str, scalars: Container[str]) -> str:
    """Objects and lists come out of json_extract as their JSON text, which must not pass for a text."""
    if not isinstance(example, str) or path == "_id" or path in scalars:
        return sql
    return f"{_type(path)} = 'text' AND {sql}"
