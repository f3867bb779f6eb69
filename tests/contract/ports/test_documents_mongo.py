"""What the MongoDB adapter promises beyond the port: how durable a write is, and how soon it gives up."""

import asyncio
import os
import time

import pytest

from imagetron_chassis.documents import (
    Collection,
    Documents,
    DocumentsUnavailable,
    Equals,
    Filter,
    Range,
    StoreTooWeak,
    TextContains,
    UniqueKey,
)
from imagetron_chassis.documents import _mongo_query as mongo
from imagetron_chassis.documents._mongo_durability import weaknesses
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.errors import Permanent
from support.mongo import drop_database, running_mongo, running_nx
from support.ports import free_port

JOBS = Collection("jobs", unique=(UniqueKey("alias", ("alias",)), UniqueKey("pair", ("alias", "pair.key"))))
JOB = {"_id": "job", "version": 1}
URL = "mongodb://gateway:a-password@10.0.0.7/imagetron?replicaSet=rs0"
MEMBER = {"setName": "rs0", "isWritablePrimary": True}
ROUTER = {"msg": "isdbgrid", "isWritablePrimary": True}
STANDALONE = {"isWritablePrimary": True}


async def test_writes_are_majority_and_journaled_and_reads_majority_whatever_the_url_says():
    documents = MongoDocuments(
        "mongodb://127.0.0.1:1/?w=0&journal=false&readConcernLevel=local&readPreference=nearest", "imagetron"
    )

    collection = documents._database["jobs"]
    assert collection.write_concern.document == {"w": "majority", "j": True}
    assert collection.read_concern.document == {"level": "majority"}
    assert collection.read_preference.mongos_mode == "primary"
    await documents.close()


async def test_a_write_that_meets_an_election_is_tried_again_and_a_missing_primary_is_waited_for_two_seconds():
    documents = MongoDocuments(
        "mongodb://127.0.0.1:1/?retryWrites=false&serverSelectionTimeoutMS=60000&socketTimeoutMS=0", "imagetron"
    )

    options = documents._client.delegate.options
    assert options.retry_writes
    assert options.server_selection_timeout == 2
    assert options.pool_options.socket_timeout == 5
    await documents.close()


@pytest.mark.parametrize(
    "options", ["", "&w=majority", "&W=majority&journal=true&retryWrites=true", "&j=TRUE&readPreference=nearest"]
)
@pytest.mark.parametrize("hello", [MEMBER, ROUTER])
def test_a_deployment_that_keeps_what_it_acknowledges_is_used(options, hello):
    assert weaknesses(URL + options, hello, None) == []


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("w=0", "its URL asks for w=0: a write that only some members have is taken back"),
        ("w=1", "its URL asks for w=1"),
        ("w=2", "say w=majority or leave it out"),
        ("w=", None),
        (
            "journal=false",
            "its URL asks for journal=false: a write that is not in the journal is gone after a power cut",
        ),
        ("j=false", "say j=true or leave it out"),
        ("retryWrites=false", "its URL asks for retrywrites=false: a write that meets an election would be an error"),
    ],
)
def test_a_url_that_asks_for_less_than_is_promised_is_refused_with_the_option_and_the_reason(option, sentence):
    found = weaknesses(f"{URL}&{option}", MEMBER, None)

    assert len(found) == (1 if sentence else 0)
    assert (sentence or "") in "".join(found)


def test_a_standalone_server_is_refused_with_the_way_out():
    (sentence,) = weaknesses(URL, STANDALONE, None)

    assert sentence.startswith("it is a standalone server")
    assert "rs.initiate()" in sentence


@pytest.mark.parametrize(
    ("concern", "is_refused"),
    [
        ({"defaultWriteConcern": {"w": 1}, "defaultWriteConcernSource": "global"}, True),
        ({"defaultWriteConcern": {"w": "majority"}, "defaultWriteConcernSource": "global"}, False),
        ({"defaultWriteConcern": {"w": 1}, "defaultWriteConcernSource": "implicit"}, False),
        ({"defaultReadConcern": {"level": "local"}}, False),
    ],
)
def test_a_default_that_an_operator_weakened_is_refused(concern, is_refused):
    found = weaknesses(URL, MEMBER, concern)

    assert ["w=1" in sentence for sentence in found] == [True] * is_refused


def test_every_weakness_is_named_at_once_and_no_sentence_holds_the_credentials():
    found = weaknesses(f"{URL}&w=1&j=false", STANDALONE, None)

    assert len(found) == 3
    assert not [sentence for sentence in found if "a-password" in sentence or "gateway:" in sentence]


async def test_a_store_that_could_lose_what_it_acknowledges_is_refused_before_anything_is_made(tmp_path):
    with running_nx(tmp_path, free_port()) as server:
        documents = MongoDocuments(f"{server.url}/?w=1", "imagetron")

        with pytest.raises(
            StoreTooWeak, match=r"could lose what it has acknowledged: .*w=1.*; it is a standalone"
        ) as told:
            await documents.prepare(JOBS)

        assert isinstance(told.value, Permanent)
        assert await documents._database.list_collection_names() == []
        await documents.close()


@pytest.mark.skipif("MONGO_URL" not in os.environ, reason="MONGO_URL names no replica set")
async def test_a_real_replica_set_is_accepted(tmp_path):
    with running_mongo(tmp_path) as server:
        documents = MongoDocuments(server.url, "imagetron_durability")

        await documents.prepare(JOBS)

        await documents.close()
        drop_database(server, "imagetron_durability")


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
        documents = MongoDocuments(server.url, "imagetron", is_trial=True)
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
