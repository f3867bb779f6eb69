"""What may be stored and asked, the same for every adapter: checked, and copied, before a store sees it. No I/O."""

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from imagetron_chassis.documents.port import (
    Collection,
    Document,
    DocumentRefused,
    Equals,
    Filter,
    InSet,
    Range,
    Scalar,
    Sort,
    TextContains,
)

# Names and paths come from code alone; the pattern is what makes it safe to write them into SQL.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_SEGMENT: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
_PATH: Final = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT})*")
# MongoDB nests documents at most 100 deep.
_MAX_DEPTH: Final = 100
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**63 - 1

NUMBER_RANK: Final = 1
TEXT_RANK: Final = 2
BOOLEAN_RANK: Final = 5
DATE_RANK: Final = 6
# A boolean is an integer to Python, so it is asked for first.
_RANKS: Final[tuple[tuple[Any, int], ...]] = (
    (str, TEXT_RANK),
    (bool, BOOLEAN_RANK),
    (int | float, NUMBER_RANK),
    (datetime, DATE_RANK),
    (type(None), 0),
    (dict, 3),
    (list, 4),
)


@lru_cache(maxsize=256)
def check_collection(collection: Collection) -> None:
    """Refuse names and paths that are not plain words."""
    for name in (collection.name, *(key.name for key in collection.unique)):
        if not _NAME.fullmatch(name):
            raise DocumentRefused(f"{name!r} is no name of a collection or unique key: letters, digits and _ only")
    for path in declared_paths(collection):
        check_path(path)


@lru_cache(maxsize=1024)
def check_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise DocumentRefused(f"{path!r} is no path: words joined by dots")


def declared_paths(collection: Collection) -> tuple[str, ...]:
    groups = (*(key.paths for key in collection.unique), *collection.indexes)
    return tuple(path for paths in groups for path in paths)


def checked_document(collection: Collection, document: Mapping[str, Any]) -> Document:
    """A plain copy of the document: dicts, lists and exact scalars only. Messages name places, never contents."""
    check_collection(collection)
    copy = _object(document, collection.name, 0)
    if not isinstance(copy.get("_id"), str) or not copy["_id"]:
        raise DocumentRefused(f"a document of {collection.name} needs a text `_id` that is not empty")
    if not isinstance(copy.get("version"), int) or isinstance(copy["version"], bool):
        raise DocumentRefused(f"document {copy['_id']} of {collection.name} needs an integer `version`")
    for path in declared_paths(collection):
        if isinstance(value_at(copy, path), dict | list):
            raise DocumentRefused(f"document {copy['_id']} of {collection.name} holds no scalar at {path}")
    return copy


def checked_filters(filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """The filters with plain values. A text that no document can hold makes a filter that nothing meets."""
    return tuple(_filter(one) for one in filters)


def checked_order(sort: Sort | None, after: tuple[Any, str] | None, limit: int) -> tuple[Scalar, str] | None:
    """The cursor with plain values. A limit below 1 is refused: MongoDB reads 0 as "no limit"."""
    if limit < 1:
        raise DocumentRefused(f"a page of {limit} documents cannot be asked for")
    if sort is not None:
        check_path(sort.path)
    if after is None:
        return None
    value, document_id = after
    if not isinstance(document_id, str):
        raise DocumentRefused(f"a cursor ends in a text id, not in {type(document_id).__name__}")
    return checked_scalar(value, "a cursor"), _text(document_id, "a cursor")


def checked_id(document_id: str) -> str:
    """The id as plain text; empty, which no document has, for a text that no document can hold."""
    if not isinstance(document_id, str):
        raise DocumentRefused(f"an id is a text, not a {type(document_id).__name__}")
    return str.__str__(document_id) if _storable(document_id) else ""


def checked_scalar(value: object, place: str) -> Scalar:
    """The value itself if it is one that every store keeps as it is; subclasses (enumerations) become plain."""
    match value:
        case str():
            return _text(value, place)
        case None | bool():
            return value
        case int():
            if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
                raise DocumentRefused(f"the integer at {place} does not fit 64 bits")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise DocumentRefused(f"the number at {place} is not finite")
            return float(value)
        case datetime():
            return _date(value, place)
        case _:
            raise DocumentRefused(f"{place} is a {type(value).__name__}, which cannot stand there")


def value_at(document: Document, path: str) -> Any:  # noqa: ANN401 - a document holds any JSON value
    """The value at the path; None where it is absent or the path meets something that is not an object."""
    value: Any = document
    for segment in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(segment)
    return value


def _filter(one: Filter) -> Filter:
    check_path(one.path)
    place = f"the filter on {one.path}"
    match one:
        case Equals(path, value):
            if isinstance(value, str) and not _storable(value):
                return InSet(path, frozenset())
            return Equals(path, checked_scalar(value, place))
        case InSet(path, values):
            if not all(isinstance(value, str) for value in values):
                raise DocumentRefused(f"{place} takes a set of texts")
            return InSet(path, frozenset(str(value) for value in values if _storable(value)))
        case Range(path, at_least, below):
            ends = checked_scalar(at_least, place), checked_scalar(below, place)
            if None not in ends and type_rank(ends[0]) != type_rank(ends[1]):
                raise DocumentRefused(f"{place} has two ends of different types")
            return Range(path, *ends)
        case TextContains(path, text):
            if not isinstance(text, str):
                raise DocumentRefused(f"{place} takes a text, not {type(text).__name__}")
            return TextContains(path, str(text)) if _storable(text) else InSet(path, frozenset())


def type_rank(value: object) -> int:
    """The place of a value's type in MongoDB's order of types."""
    return next(rank for kind, rank in _RANKS if isinstance(value, kind))


def _object(value: Mapping[Any, Any], place: str, depth: int) -> Document:
    copy: Document = {}
    for key, item in value.items():
        if type(key) is not str or not key or key[0] == "$" or "." in key or not _storable(key):
            raise DocumentRefused(
                f"{place} has a key that is not a text, is empty, begins with $ or holds a dot or NUL"
            )
        copy[key] = item if _is_plain(item) else _value(item, f"{place}.{key}", depth + 1)
    return copy


def _value(value: object, place: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    if depth > _MAX_DEPTH:
        raise DocumentRefused(f"{place} is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        return _object(value, place, depth)
    if isinstance(value, list | tuple):
        return [item if _is_plain(item) else _value(item, f"{place}[]", depth + 1) for item in value]
    return checked_scalar(value, place)


def _is_plain(value: object) -> bool:
    """Whether the value is surely fine as it is: the short way for most of a document, which is the gateway's hot path."""
    kind = type(value)
    return kind is bool or value is None or (kind is str and _storable(value))  # type: ignore[arg-type]


def _text(value: str, place: str) -> str:
    if not _storable(value):
        raise DocumentRefused(f"the text at {place} holds a NUL or a lone surrogate")
    return str.__str__(value)


def _storable(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _date(value: datetime, place: str) -> datetime:
    if value.utcoffset() != timedelta(0):
        raise DocumentRefused(f"the date at {place} is not in UTC")
    if value.microsecond % 1000:
        raise DocumentRefused(f"the date at {place} is finer than a millisecond, which no store keeps")
    return value
