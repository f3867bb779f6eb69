"""Filters, cursors and indexes in MongoDB's words. Values only ever stand behind an operator written here. No driver."""

import re
from collections.abc import Sequence
from typing import Any, assert_never

from imagetron_chassis.documents.port import Collection, Equals, Filter, InSet, Range, Scalar, Sort, TextContains

Query = dict[str, Any]


def query(filters: Sequence[Filter]) -> Query:
    conditions = [_condition(one) for one in filters]
    return {"$and": conditions} if conditions else {}


def order(sort: Sort) -> list[tuple[str, int]]:
    direction = -1 if sort.descending else 1
    return [("_id", direction)] if sort.path == "_id" else [(sort.path, direction), ("_id", direction)]


def beyond(sort: Sort, last: tuple[Scalar, str]) -> Query:
    """What comes after the cursor. Null sorts first and compares with nothing, so it has clauses of its own."""
    sign = "$lt" if sort.descending else "$gt"
    value, last_id = last
    tie = {"$and": [{sort.path: {"$eq": value}}, {"_id": {sign: last_id}}]}
    if value is None:
        return tie if sort.descending else {"$or": [tie, {sort.path: _PRESENT}]}
    nulls = [{sort.path: {"$eq": None}}] if sort.descending else []
    return {"$or": [{sort.path: {sign: value}}, tie, *nulls]}


def index_name(collection: Collection, paths: Sequence[str], kind: str = "idx") -> str:
    """Made of the paths, so that an index over other paths has another name."""
    return "_".join((kind, collection.name, *(path.replace(".", "_") for path in paths)))


def index_keys(paths: Sequence[str]) -> list[tuple[str, int]]:
    return [(path, 1) for path in paths]


def present(paths: Sequence[str]) -> Query:
    """What a unique index is limited to; `$exists` alone would count null as present."""
    return {path: {"$type": ["string", "number", "bool", "date"]} for path in paths}


def refused_key(collection: Collection, message: str) -> str:
    """The name of the unique key behind a duplicate-key message. What follows the index in it are a caller's values."""
    refused = re.search(r"index:? '?(\w+)", message)
    names = {index_name(collection, key.paths): key.name for key in collection.unique}
    return names.get(refused[1], "_id") if refused else "_id"


_PRESENT: Query = {"$exists": True, "$ne": None}


def _condition(one: Filter) -> Query:
    match one:
        case Equals(path, value):
            return {path: {"$eq": value}}
        case InSet(path, values):
            return {path: {"$in": sorted(values)}}
        case Range(path, None, None):
            return {path: _PRESENT}
        case Range(path, at_least, below):
            ends = {"$gte": at_least, "$lt": below}
            return {path: {sign: end for sign, end in ends.items() if end is not None}}
        case TextContains(path, text):
            return {path: {"$regex": re.escape(text), "$options": "i"}}
        case _:
            assert_never(one)
