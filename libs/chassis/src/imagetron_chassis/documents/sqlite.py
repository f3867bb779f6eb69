"""The document store in one SQLite file: the embedded default. One service owns the file; its replicas may share it."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagetron_chassis.documents import _sql
from imagetron_chassis.documents._rules import (
    check_collection,
    check_path,
    checked_document,
    checked_filters,
    checked_id,
    checked_order,
    declared_paths,
)
from imagetron_chassis.documents._sqlite_thread import SqliteThread
from imagetron_chassis.documents.port import (
    AFTER_LAST,
    Collection,
    Document,
    DocumentRefused,
    Duplicate,
    Equals,
    Filter,
    Sort,
    UniqueKey,
)


class SqliteDocuments:
    """A table per collection: id, version and the document as JSON; keys and indexes are indexes over expressions.

    A write is on the disk when the call returns, against a crash of the machine too.
    """

    def __init__(self, path: str | Path) -> None:
        self._thread = SqliteThread(Path(path))

    async def prepare(self, *collections: Collection) -> None:
        statements = [(name, sql) for collection in collections for name, sql in _schema(collection)]
        await self._thread.create()
        await self._thread.write(lambda connection: _ensure(connection, statements))

    async def insert(self, collection: Collection, document: Mapping[str, Any]) -> None:
        row = _row(checked_document(collection, document))

        def work(connection: sqlite3.Connection) -> None:
            sql = f'INSERT INTO "{collection.name}" (id, version, body) VALUES (:id, :version, :body)'  # noqa: S608
            try:
                connection.execute(sql, row)
            except sqlite3.IntegrityError as error:
                raise _duplicate(collection, error) from error

        await self._thread.write(work)

    async def get(self, collection: Collection, document_id: str, *filters: Filter) -> Document | None:
        found = await self.find(collection, Equals("_id", checked_id(document_id)), *filters, limit=1)
        return found[0] if found else None

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
        condition, parameters = _condition(collection, filters)
        pieces = _sql.pieces(order, cursor if sort or cursor is None else (cursor[1], cursor[1]))

        def work(connection: sqlite3.Connection) -> list[Document]:
            found: list[Document] = []
            for (piece, more), by in pieces:
                if len(found) < limit:
                    sql = f'SELECT body FROM "{collection.name}" WHERE {condition} AND {piece} ORDER BY {by} LIMIT ?'  # noqa: S608
                    rows = connection.execute(sql, [*parameters, *more, limit - len(found)])
                    found.extend(_sql.decode(body) for (body,) in rows)
            return found

        return await self._thread.read(work)

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        row = {**_row(checked_document(collection, document)), "if_version": if_version}

        def work(connection: sqlite3.Connection) -> bool:
            sql = f'UPDATE "{collection.name}" SET version = :version, body = :body WHERE id = :id AND version = :if_version'  # noqa: S608
            try:
                return connection.execute(sql, row).rowcount == 1
            except sqlite3.IntegrityError as error:
                raise _duplicate(collection, error) from error

        return await self._thread.write(work)

    async def delete(self, collection: Collection, document_id: str, *filters: Filter) -> bool:
        condition, parameters = _condition(collection, (Equals("_id", checked_id(document_id)), *filters))
        sql = f'DELETE FROM "{collection.name}" WHERE {condition}'  # noqa: S608
        return await self._thread.write(lambda connection: connection.execute(sql, parameters).rowcount == 1)

    async def count(self, collection: Collection, *filters: Filter) -> int:
        condition, parameters = _condition(collection, filters)
        sql = f'SELECT count(*) FROM "{collection.name}" WHERE {condition}'  # noqa: S608

        def work(connection: sqlite3.Connection) -> int:
            ((number,),) = connection.execute(sql, parameters)
            return int(number)

        return await self._thread.read(work)

    async def sum_by(self, collection: Collection, path: str, group_by: str, *filters: Filter) -> dict[str, float]:
        check_path(path)
        check_path(group_by)
        condition, parameters = _condition(collection, filters)
        sql = (
            f"SELECT {_sql.value(group_by)}, total({_sql.number(path)}) "  # noqa: S608
            f'FROM "{collection.name}" WHERE {condition} AND {_sql.is_text(group_by)} GROUP BY 1'
        )

        def work(connection: sqlite3.Connection) -> dict[str, float]:
            return {_sql.loaded_text(group): total for group, total in connection.execute(sql, parameters)}

        return await self._thread.read(work)

    async def ping(self) -> None:
        # An empty transaction: it needs the file and the right to write, and costs no flush.
        await self._thread.write(lambda _: None)

    async def close(self) -> None:
        await self._thread.close()


def _row(document: Document) -> dict[str, Any]:
    return {
        "id": _sql.stored_scalar(document["_id"]),
        "version": document["version"],
        "body": _sql.encode(document),
    }


def _condition(collection: Collection, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
    check_collection(collection)
    # No document gets in with an object or a list at a declared path.
    return _sql.where(checked_filters(tuple(filters)), frozenset(declared_paths(collection)))


def _schema(collection: Collection) -> list[tuple[str, str]]:
    """Names and statements of the table, its unique keys and its indexes."""
    check_collection(collection)
    table = collection.name
    # The id has no declared type: TEXT would make SQLite compare the number 1 as the text '1'.
    statements = [
        (table, f'CREATE TABLE "{table}" (id PRIMARY KEY NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL)')
    ]
    for key in collection.unique:
        columns = [_sql.value(path) for path in key.paths]
        present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        name = _index_name(collection, key)
        statements.append((name, f'CREATE UNIQUE INDEX "{name}" ON "{table}" ({", ".join(columns)}) WHERE {present}'))
    for paths in collection.indexes:
        name = "-".join(("index", table, *paths))
        columns = [_sql.value(path) for path in paths]
        # The id at the end gives pages sorted by the last path their order.
        statements.append((name, f'CREATE INDEX "{name}" ON "{table}" ({", ".join(columns)}, id)'))
    return statements


def _ensure(connection: sqlite3.Connection, statements: list[tuple[str, str]]) -> None:
    present = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    for name, sql in statements:
        if name not in present:
            connection.execute(sql)
        elif present[name] != sql:
            raise DocumentRefused(f"the stored {name} was made otherwise: {present[name]}; migrate or remove it first")


def _index_name(collection: Collection, key: UniqueKey) -> str:
    return f"unique-{collection.name}-{key.name}"


def _duplicate(collection: Collection, error: sqlite3.IntegrityError) -> Duplicate:
    """SQLite names the index that refused in its message, and nowhere else."""
    refused = re.search(r"index '(.+)'", str(error))
    for key in collection.unique:
        if refused and refused[1] == _index_name(collection, key):
            return Duplicate(collection.name, key.name)
    return Duplicate(collection.name, "_id")
