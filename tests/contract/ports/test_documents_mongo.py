"""What the MongoDB adapter promises beyond the port: how durable a write is, and how soon it gives up."""

import asyncio
import time

import pytest

from imagetron_chassis.documents import (
    Collection,
    Documents,
    DocumentsUnavailable,
    Equals,
    Filter,
    Range,
    TextContains,
    UniqueKey,
)
from imagetron_chassis.documents import _mongo_query as mongo
from imagetron_chassis.documents.mongo import MongoDocuments
from support.mongo import running_nx
from support.ports import free_port

JOBS = Collection("jobs", unique=(UniqueKey("alias", ("alias",)), UniqueKey("pair", ("alias", "pair.key"))))
JOB = {"_id": "job", "version": 1}


async def test_writes_are_majority_and_journaled_and_reads_majority_whatever_the_url_says():
    documents = MongoDocuments(
        "mongodb://127.0.0.1:1/?w=0&journal=false&readConcernLevel=local&readPreference=nearest", "imagetron"
    )

    collection = documents._database["jobs"]
    assert collection.write_concern.document == {"w": "majority", "j": True}
    assert collection.read_concern.document == {"level": "majority"}
    assert collection.read_preference.mongos_mode == "primary"
    await documents.close()


async def refuses_every_call(documents: Documents) -> float:
    """How long the longest call took to say that the store is gone."""
    calls = (
        documents.ping(),
        documents.prepare(JOBS),
        documents.insert(JOBS, JOB),
        documents.get(JOBS, "job"),
        documents.find(JOBS),
        documents.replace(JOBS, JOB, if_version=1),
        documents.delete(JOBS, "job"),
        documents.count(JOBS),
        documents.sum_by(JOBS, "cost", "owner"),
    )
    began = time.monotonic()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [DocumentsUnavailable] * len(calls)
    return time.monotonic() - began


async def test_a_server_that_is_not_there_is_unavailable_after_two_seconds():
    documents = MongoDocuments(f"mongodb://127.0.0.1:{free_port()}", "imagetron")

    assert 1.5 < await refuses_every_call(documents) < 3.5
    await documents.close()


async def test_a_server_that_dies_is_unavailable_and_works_again_when_it_is_back(tmp_path):
    port = free_port()
    with running_nx(tmp_path, port) as server:
        documents = MongoDocuments(server.url, "imagetron")
        await documents.prepare(JOBS)
        await documents.insert(JOBS, JOB)

    assert await refuses_every_call(documents) < 3.5

    with running_nx(tmp_path, port):
        await documents.prepare(JOBS)
        await documents.insert(JOBS, JOB)
        assert await documents.count(JOBS) == 1
    await documents.close()


@pytest.mark.parametrize(
    ("index", "key"),
    [("_id_", "_id"), ("idx_jobs_alias", "alias"), ("idx_jobs_alias_pair_key", "pair"), ("unknown", "_id")],
)
def test_the_refusing_key_is_read_from_the_index_and_not_from_a_callers_value(index, key):
    message = (
        f"E11000 duplicate key error collection: imagetron.jobs index: {index} "
        'dup key: { alias: "index: idx_jobs_alias dup key" }'
    )

    assert mongo.refused_key(JOBS, message) == key


def test_values_stand_only_behind_operators_that_the_adapter_writes():
    filters: list[Filter] = [Equals("a", "$where"), Range("b", at_least="$gt"), TextContains("c", "^.*$")]

    assert mongo.query(filters) == {
        "$and": [{"a": {"$eq": "$where"}}, {"b": {"$gte": "$gt"}}, {"c": {"$regex": r"\^\.\*\$", "$options": "i"}}]
    }
