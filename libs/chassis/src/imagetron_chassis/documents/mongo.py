"""The document store in MongoDB, through motor. The only module that imports motor, so that moving on stays small."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any, Final

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from imagetron_chassis.documents import _mongo_query as mongo
from imagetron_chassis.documents._mongo_durability import weaknesses
from imagetron_chassis.documents._rules import (
    check_collection,
    check_path,
    checked_document,
    checked_filters,
    checked_id,
    checked_order,
)
from imagetron_chassis.documents.port import (
    AFTER_LAST,
    Collection,
    Document,
    DocumentRefused,
    DocumentsUnavailable,
    Duplicate,
    Equals,
    Filter,
    Sort,
    StoreTooWeak,
)

# A caller of the gateway gets its 503 after about two seconds when no server is there; one that is there but takes two
# seconds an operation is still waited for. The driver's timeoutMS would stand for all of these, and make both as long.
_SELECTION_MILLISECONDS: Final = 2_000
_ANSWER_MILLISECONDS: Final = 5_000
# IndexOptionsConflict and IndexKeySpecsConflict.
_INDEX_CONFLICTS: Final = frozenset({85, 86})


class MongoDocuments:
    """Writes are acknowledged by a majority, journaled; reads see nothing that a failover could take back.

    `prepare` refuses a deployment that cannot promise this. `is_trial` spares it that look: for stand-ins and experiments.
    """

    def __init__(self, url: str, database: str, *, is_trial: bool = False) -> None:
        self._url = url
        self._is_trial = is_trial
        self._client: Any = AsyncIOMotorClient(
            url,
            tz_aware=True,
            tzinfo=UTC,
            w="majority",
            journal=True,
            retryWrites=True,
            readConcernLevel="majority",
            readPreference="primary",
            serverSelectionTimeoutMS=_SELECTION_MILLISECONDS,
            waitQueueTimeoutMS=_SELECTION_MILLISECONDS,
            # The driver's own looks at the server go by this one: shorter, a slow server would be taken for a dead one.
            connectTimeoutMS=_ANSWER_MILLISECONDS,
            socketTimeoutMS=_ANSWER_MILLISECONDS,
        )
        self._database = self._client[database]

    async def prepare(self, *collections: Collection) -> None:
        if not self._is_trial:
            await self._refuse_if_weak()
        for collection in collections:
            check_collection(collection)
            documents = self._database[collection.name]
            async with _translated(collection):
                for key in collection.unique:
                    await documents.create_index(
                        mongo.index_keys(key.paths),
                        name=mongo.index_name(collection, key.paths),
                        unique=True,
                        partialFilterExpression=mongo.present(key.paths),
                    )
                # No query is served by a partial index over types, so what is unique has a plain index as well.
                for paths in dict.fromkeys((*(key.paths for key in collection.unique), *collection.indexes)):
                    await documents.create_index(
                        mongo.index_keys(paths), name=mongo.index_name(collection, paths, "search")
                    )

    async def insert(self, collection: Collection, document: Mapping[str, Any]) -> None:
        new = checked_document(collection, document)
        async with _translated(collection):
            await self._database[collection.name].insert_one(new)

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
        query = _query(collection, filters)
        if cursor is not None:
            query = {"$and": [query, mongo.beyond(order, cursor if sort else (cursor[1], cursor[1]))]}
        async with _translated(collection):
            documents: list[Document] = await (
                self._database[collection.name].find(query).sort(mongo.order(order)).limit(limit).to_list(limit)
            )
        return documents

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        new = checked_document(collection, document)
        stored = {"_id": {"$eq": new["_id"]}, "version": {"$eq": if_version}}
        async with _translated(collection):
            result = await self._database[collection.name].replace_one(stored, new)
        return bool(result.matched_count == 1)

    async def delete(self, collection: Collection, document_id: str, *filters: Filter) -> bool:
        query = _query(collection, (Equals("_id", checked_id(document_id)), *filters))
        async with _translated(collection):
            result = await self._database[collection.name].delete_one(query)
        return bool(result.deleted_count == 1)

    async def count(self, collection: Collection, *filters: Filter) -> int:
        query = _query(collection, filters)
        async with _translated(collection):
            return int(await self._database[collection.name].count_documents(query))

    async def sum_by(self, collection: Collection, path: str, group_by: str, *filters: Filter) -> dict[str, float]:
        check_path(path)
        check_path(group_by)
        stages: list[mongo.Query] = [
            {"$match": {"$and": [_query(collection, filters), {group_by: {"$type": "string"}}]}},
            {"$group": {"_id": f"${group_by}", "total": {"$sum": f"${path}"}}},
        ]
        async with _translated(collection):
            rows = await self._database[collection.name].aggregate(stages).to_list(None)
        return {row["_id"]: float(row["total"]) for row in rows}

    async def ping(self) -> None:
        await self._ask("ping")

    async def close(self) -> None:
        self._client.close()

    async def _refuse_if_weak(self) -> None:
        hello = await self._ask("hello")
        found = weaknesses(self._url, hello, await self._default_concern())
        if found:
            raise StoreTooWeak(f"MongoDB could lose what it has acknowledged: {'; '.join(found)}")

    async def _default_concern(self) -> Mapping[str, Any] | None:
        try:
            return await self._ask("getDefaultRWConcern")
        except _Refused:
            return None  # not known there, or not for us to ask

    async def _ask(self, command: str) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = await self._client.admin.command(command)
        except OperationFailure as error:
            raise _Refused(f"MongoDB refuses {command}: {error}") from error
        except PyMongoError as error:
            raise DocumentsUnavailable(f"MongoDB does not answer: {error}") from error
        return answer


class _Refused(DocumentsUnavailable):
    """The server answers, but not this command."""


def _query(collection: Collection, filters: Sequence[Filter]) -> mongo.Query:
    check_collection(collection)
    return mongo.query(checked_filters(tuple(filters)))


@asynccontextmanager
async def _translated(collection: Collection) -> AsyncIterator[None]:
    """The driver's errors in the port's words."""
    try:
        yield
    except DuplicateKeyError as error:
        raise Duplicate(collection.name, mongo.refused_key(collection, str(error))) from error
    except (DocumentTooLarge, BSONError) as error:
        raise DocumentRefused(f"MongoDB cannot hold a document of {collection.name}: {error}") from error
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in _INDEX_CONFLICTS:
            raise DocumentRefused(f"an index of {collection.name} was made otherwise: {error}") from error
        raise DocumentsUnavailable(f"MongoDB does not answer for {collection.name}: {error}") from error
