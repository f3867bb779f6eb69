"""The document store in a dictionary: for unit tests and for trying things out. Nothing survives the process."""

import asyncio
import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from imagetron_chassis.documents._rules import (
    check_collection,
    check_path,
    checked_document,
    checked_filters,
    checked_id,
    checked_order,
    type_rank,
    value_at,
)
from imagetron_chassis.documents.port import (
    AFTER_LAST,
    Collection,
    Document,
    Duplicate,
    Equals,
    Filter,
    InSet,
    Range,
    Sort,
    TextContains,
)

_OrderKey = tuple[int, int | float | str | datetime]


class InMemoryDocuments:
    """Each call lets other tasks run first, as a real store does: a lost update shows in a unit test too."""

    def __init__(self) -> None:
        self._documents: defaultdict[str, dict[str, Document]] = defaultdict(dict)

    async def prepare(self, *collections: Collection) -> None:
        for collection in collections:
            check_collection(collection)

    async def insert(self, collection: Collection, document: Mapping[str, Any]) -> None:
        new = checked_document(collection, document)
        await asyncio.sleep(0)
        if new["_id"] in self._documents[collection.name]:
            raise Duplicate(collection.name, "_id")
        self._refuse_duplicate(collection, new)
        self._documents[collection.name][new["_id"]] = new

    async def get(self, collection: Collection, document_id: str, *filters: Filter) -> Document | None:
        wanted, plain = checked_id(document_id), checked_filters(filters)
        await asyncio.sleep(0)
        return copy.deepcopy(self._one(collection, wanted, plain))

    async def find(
        self,
        collection: Collection,
        *filters: Filter,
        sort: Sort | None = None,
        after: tuple[Any, str] | None = AFTER_LAST,
        limit: int = 50,
    ) -> Sequence[Document]:
        order = sort or Sort("_id")
        cursor = checked_order(sort, after, limit)
        plain = checked_filters(filters)
        await asyncio.sleep(0)
        places = {
            (_order_key(value_at(document, order.path)), document["_id"]): document
            for document in self._meeting(collection, plain)
        }
        if cursor is not None:
            last = (_order_key(cursor[0] if sort else cursor[1]), cursor[1])
            places = {at: one for at, one in places.items() if (at < last if order.descending else at > last)}
        return [copy.deepcopy(places[at]) for at in sorted(places, reverse=order.descending)[:limit]]

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        new = checked_document(collection, document)
        await asyncio.sleep(0)
        stored = self._documents[collection.name].get(new["_id"])
        if stored is None or stored["version"] != if_version:
            return False
        self._refuse_duplicate(collection, new)
        self._documents[collection.name][new["_id"]] = new
        return True

    async def delete(self, collection: Collection, document_id: str, *filters: Filter) -> bool:
        wanted, plain = checked_id(document_id), checked_filters(filters)
        await asyncio.sleep(0)
        if self._one(collection, wanted, plain) is None:
            return False
        del self._documents[collection.name][wanted]
        return True

    async def count(self, collection: Collection, *filters: Filter) -> int:
        plain = checked_filters(filters)
        await asyncio.sleep(0)
        return sum(1 for _ in self._meeting(collection, plain))

    async def sum_by(self, collection: Collection, path: str, group_by: str, *filters: Filter) -> dict[str, float]:
        check_path(path)
        check_path(group_by)
        plain = checked_filters(filters)
        await asyncio.sleep(0)
        sums: defaultdict[str, float] = defaultdict(float)
        for document in self._meeting(collection, plain):
            group = value_at(document, group_by)
            if isinstance(group, str):
                number = value_at(document, path)
                sums[group] += number if isinstance(number, int | float) and not isinstance(number, bool) else 0.0
        return dict(sums)

    async def ping(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)

    def _one(self, collection: Collection, document_id: str, filters: tuple[Filter, ...]) -> Document | None:
        check_collection(collection)
        document = self._documents[collection.name].get(document_id)
        return document if document is not None and all(_meets(document, one) for one in filters) else None

    def _meeting(self, collection: Collection, filters: tuple[Filter, ...]) -> Iterator[Document]:
        check_collection(collection)
        documents = self._documents[collection.name].values()
        return (document for document in documents if all(_meets(document, one) for one in filters))

    def _refuse_duplicate(self, collection: Collection, new: Document) -> None:
        others = [one for one in self._documents[collection.name].values() if one["_id"] != new["_id"]]
        for key in collection.unique:
            values = [_order_key(value_at(new, path)) for path in key.paths]
            if _order_key(None) in values:
                continue
            if any([_order_key(value_at(other, path)) for path in key.paths] == values for other in others):
                raise Duplicate(collection.name, key.name)


def _order_key(value: Any) -> _OrderKey:  # noqa: ANN401 - any JSON value
    """Sorts and tells apart values as MongoDB does: by type first. Objects and lists are no sort values."""
    return type_rank(value), 0 if value is None or isinstance(value, dict | list) else value


def _meets(document: Document, one: Filter) -> bool:
    value = value_at(document, one.path)
    match one:
        case Equals(_, wanted):
            return _order_key(value) == _order_key(wanted)
        case InSet(_, values):
            return isinstance(value, str) and value in values
        case Range(_, None, None):
            return value is not None
        case Range(_, at_least, below):
            key = _order_key(value)
            return (
                key[0] == type_rank(below if at_least is None else at_least)
                and (at_least is None or _order_key(at_least) <= key)
                and (below is None or key < _order_key(below))
            )
        case TextContains(_, text):
            return isinstance(value, str) and text.casefold() in value.casefold()
        case _:
            assert_never(one)
