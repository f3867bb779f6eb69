"""The document-store port: what a service may ask of MongoDB, SQLite or memory. Small on purpose.

A document is a JSON object with the string fields `_id` and an integer `version`. Values are strings, numbers, booleans,
null, lists and objects; dates travel as `datetime` (UTC, milliseconds) and come back as such. Keys are text without dots
and do not begin with `$`; text holds no NUL and no lone surrogate; integers fit 64 bits. Paths use dots
(`idempotency.key`); a path never crosses a list, and a path that is declared, filtered or sorted by leads to a scalar.
Values of different types are never equal (true is not 1), numbers are compared as numbers; null and absent sort first.
Every write is durable when the call returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from imagetron_chassis.errors import ChassisError, Permanent, Transient

Scalar = str | int | float | bool | datetime | None
Document = dict[str, Any]


class Duplicate(ChassisError):
    """A document with the same unique key exists; nothing was written. `key` names the UniqueKey that refused."""

    def __init__(self, collection: str, key: str) -> None:
        super().__init__(f"{collection} already holds a document with the same {key}; nothing was written")
        self.key = key


class DocumentRefused(Permanent, ValueError):
    """A document, filter, cursor or name breaks the rules of this port: the caller has a bug. Nothing was written."""


class StoreTooWeak(Permanent):
    """The store is set up so that it could lose what it has acknowledged; it is not used at all."""


class DocumentsUnavailable(Transient):
    """The store cannot answer now; nothing can be said about the write that was under way but that it may be repeated."""


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A combination of paths that at most one document may have. Documents missing any of the paths are exempt; null is
    missing.
    """

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents, its unique keys (besides `_id`) and the paths that are searched, each an index."""

    name: str
    unique: tuple[UniqueKey, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Equals:
    """The value at `path` equals `value` (an absent path equals None)."""

    path: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class InSet:
    """The value at `path` is one of `values`."""

    path: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Range:
    """`at_least` <= value < `below`; an open end is None. Absent and null values never match, nor do other types."""

    path: str
    at_least: Scalar = None
    below: Scalar = None


@dataclass(frozen=True, slots=True)
class TextContains:
    """The text at `path` contains `text`, letter case ignored. The text is taken literally: no patterns."""

    path: str
    text: str


Filter = Equals | InSet | Range | TextContains


@dataclass(frozen=True, slots=True)
class Sort:
    """Order by the value at `path`, ties by `_id` in the same direction."""

    path: str
    descending: bool = False


AFTER_LAST: Final = None
"""What `find` takes as `after` for the first page."""


class Documents(Protocol):
    """Single-document atomicity, no transactions.

    Errors: Duplicate, DocumentRefused (Permanent), DocumentsUnavailable (Transient). Documents given and returned are
    the caller's own copies.
    """

    async def prepare(self, *collections: Collection) -> None:
        """Create what is missing: collections, unique keys, indexes. Safe to repeat, and to run from two processes.

        Raises StoreTooWeak, having made nothing, if the store could lose what it acknowledges.
        """
        ...

    async def insert(self, collection: Collection, document: Mapping[str, Any]) -> None:
        """Store a new document. Raises Duplicate(key) on a taken `_id` (key `_id`) or unique key; writes nothing then."""
        ...

    async def get(self, collection: Collection, document_id: str, *filters: Filter) -> Document | None:
        """The document with this id if it also meets the filters, else None."""
        ...

    async def find(
        self,
        collection: Collection,
        *filters: Filter,
        sort: Sort | None = None,
        after: tuple[Any, str] | None = AFTER_LAST,
        limit: int = 50,
    ) -> Sequence[Document]:
        """Up to `limit` documents that meet all filters, in order (`_id` ascending without a sort).

        `after` is the cursor: (sort value, `_id`) of the last document of the page before.
        """
        ...

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        """Replace the document with this `_id` if its stored `version` is `if_version`; say whether that happened.

        The given document carries the new version itself. False also when the document is gone. May raise Duplicate.
        """
        ...

    async def delete(self, collection: Collection, document_id: str, *filters: Filter) -> bool:
        """Remove the document if it exists and meets the filters; say whether that happened."""
        ...

    async def count(self, collection: Collection, *filters: Filter) -> int:
        """How many documents meet the filters."""
        ...

    async def sum_by(self, collection: Collection, path: str, group_by: str, *filters: Filter) -> dict[str, float]:
        """The sum of the numbers at `path` for each text value at `group_by`, over the documents that meet the filters."""
        ...

    async def ping(self) -> None:
        """Return if the store answers; raise DocumentsUnavailable if not."""
        ...

    async def close(self) -> None: ...
