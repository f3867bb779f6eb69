"""Every promise of the document-store port, asked of each adapter alike."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest

from imagetron_chassis.documents import (
    Collection,
    Document,
    Documents,
    DocumentsUnavailable,
    Duplicate,
    Equals,
    InSet,
    Range,
    Sort,
    TextContains,
    UniqueKey,
)
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.port import DocumentRefused
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.errors import Permanent, Transient
from support.mongo import MongoServer, drop_database, running_mongo

NOON = datetime(2026, 11, 20, 12, 0, 0, 123_000, tzinfo=UTC)

JOBS = Collection(
    "jobs",
    unique=(UniqueKey("idempotency", ("owner", "idempotency.key")), UniqueKey("alias", ("alias",))),
    indexes=(("nextCheckAt",), ("owner", "createdAt")),
)
OTHERS = Collection("others")


class Word(StrEnum):
    QUEUED = "queued"


class Rank(IntEnum):
    FIRST = 1


# What the stand-in for MongoDB does otherwise than MongoDB, by the beginning of the test's name. MongoDB itself (MONGO_URL)
# is asked for all of it.
NX_DEVIATIONS = {
    "test_true_is_not_one_and_a_number_is_not_its_text": "nx-27017 compares booleans as 0 and 1",
    "test_an_object_is_not_its_json_text": "nx-27017 compares objects as texts",
    "test_a_date_is_not_its_text": "nx-27017 compares dates as texts",
    "test_a_range_matches_values_of_its_own_type_only": "nx-27017 compares across types",
    "test_a_range_of_dates_sees_a_millisecond": "nx-27017 compares dates by whole seconds",
    "test_pages_show_every_document_exactly_once_and_in_order[mongo-dates": "nx-27017 compares dates by whole seconds",
    "test_an_empty_text_is_contained_in_texts_alone": "nx-27017 matches patterns against numbers too",
    "test_a_text_is_not_summed": "nx-27017 fails on adding a text",
    "test_a_collection_may_be_named_by_a_word_of_sql": "nx-27017 writes the name into SQL without quotes",
}


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "mongo"])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Documents]:
    database = f"test_{uuid.uuid4().hex}"
    server: MongoServer | None = None
    store: Documents
    if request.param == "memory":
        store = InMemoryDocuments()
    elif request.param == "sqlite":
        store = SqliteDocuments(tmp_path / "documents.sqlite")
    else:
        server = request.getfixturevalue("mongo")
        assert server is not None
        if not server.is_real:
            for name, reason in NX_DEVIATIONS.items():
                if request.node.name.startswith(name):
                    pytest.skip(reason)
        store = MongoDocuments(server.url, database, is_trial=not server.is_real)
    await store.prepare(JOBS, OTHERS)
    yield store
    await store.close()
    if server is not None:
        drop_database(server, database)


def a_job(document_id: str = "job", **fields: Any) -> Document:
    return {"_id": document_id, "version": 1, **fields}


async def ids(documents: Documents, *filters: Any, **options: Any) -> list[str]:
    return [document["_id"] for document in await documents.find(JOBS, *filters, **options)]


# --- storing


async def test_a_document_comes_back_as_it_was_stored(documents):
    job = a_job(
        text="Größe, 尺寸, \U0001f5bc",
        empty="",
        lines="one\ntwo\t\\ \"quoted\" 'single' \x01 \x7f",
        whole=7,
        huge=2**63 - 1,
        least=-(2**63),
        real=0.1,
        tiny=5e-324,
        yes=True,
        no=False,
        nothing=None,
        at=NOON,
        families={"web-og": {"images": [{"index": 0, "at": NOON, "ok": True}, [1, [True, None]], []], "empty": {}}},
    )

    await documents.insert(JOBS, job)

    stored = await documents.get(JOBS, "job")
    assert stored == job
    assert stored["yes"] is True
    assert stored["families"]["web-og"]["images"][0]["ok"] is True


async def test_dates_come_back_in_utc_to_the_millisecond(documents):
    moments = [NOON, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)]

    await documents.insert(JOBS, a_job(moments=moments, at=NOON))

    stored = await documents.get(JOBS, "job")
    assert stored["moments"] == moments
    assert stored["at"].tzinfo is UTC
    assert all(moment.utcoffset() == timedelta(0) for moment in stored["moments"])


ADVERSARIAL_TEXTS = [
    NOON.isoformat(),
    "2026-11-20T12:00:00.123",
    '{"$date": "2026-11-20T12:00:00.123Z"}',
    '{"$gt": ""}',
    "\U0010ffff",
    "\U0010ffff ",
    "\U0010ffff00",
    "\U0010ffff01",
    "\U0010ffff12026-11-20T12:00:00.123",
    "\U0010ffff\U0010ffff",
    "true",
    "null",
    "1",
    "[1]",
    "' OR 1=1 --",
]


@pytest.mark.parametrize("text", ADVERSARIAL_TEXTS)
async def test_a_text_that_looks_like_something_else_stays_a_text(documents, text):
    await documents.insert(JOBS, a_job(text, text=text, at=NOON, flag=True, listed=[text]))
    await documents.insert(JOBS, a_job("other", text="other", at=NOON, flag=True))

    assert await documents.get(JOBS, text) == a_job(text, text=text, at=NOON, flag=True, listed=[text])
    assert await ids(documents, Equals("text", text)) == [text]
    assert await ids(documents, InSet("text", frozenset({text}))) == [text]
    assert await ids(documents, TextContains("text", text)) == [text]
    assert await ids(documents, Equals("flag", text)) == []
    assert await documents.delete(JOBS, text)


@pytest.mark.parametrize("text", ADVERSARIAL_TEXTS)
async def test_a_date_is_not_its_text(documents, text):
    await documents.insert(JOBS, a_job(at=NOON))

    assert await ids(documents, Equals("at", text)) == []
    assert await ids(documents, InSet("at", frozenset({text}))) == []
    assert await ids(documents, TextContains("at", text)) == []
    assert await ids(documents, Range("at", at_least=text)) == []
    assert await ids(documents, Range("at", below=text)) == []


async def test_given_and_returned_documents_are_copies(documents):
    job = a_job(families={"og": {"status": "waiting"}})
    await documents.insert(JOBS, job)

    job["families"]["og"]["status"] = "changed by the giver"
    first = await documents.get(JOBS, "job")
    first["families"]["og"]["status"] = "changed by the reader"
    (found,) = await documents.find(JOBS)
    found["families"]["og"]["status"] = "changed by the finder"

    assert await documents.get(JOBS, "job") == a_job(families={"og": {"status": "waiting"}})


async def test_a_replacement_is_copied_too(documents):
    await documents.insert(JOBS, a_job())
    new = {**a_job(history=["a"]), "version": 2}

    await documents.replace(JOBS, new, if_version=1)
    new["history"].append("b")

    assert (await documents.get(JOBS, "job"))["history"] == ["a"]


async def test_enumerations_are_stored_as_plain_values(documents):
    await documents.insert(JOBS, a_job(status=Word.QUEUED, rank=Rank.FIRST, tags=("a", "b")))

    stored = await documents.get(JOBS, "job")
    assert type(stored["status"]) is str
    assert stored == a_job(status="queued", rank=1, tags=["a", "b"])
    assert await ids(documents, Equals("status", Word.QUEUED), InSet("status", frozenset({Word.QUEUED}))) == ["job"]


UNSTORABLE = {
    "no id": {"version": 1},
    "an empty id": {"_id": "", "version": 1},
    "an id that is no text": {"_id": 7, "version": 1},
    "no version": {"_id": "job"},
    "a version that is no integer": {"_id": "job", "version": "1"},
    "a boolean version": {"_id": "job", "version": True},
    "bytes": a_job(picture=b"\x89PNG"),
    "a set": a_job(names={"a"}),
    "an object of a class": a_job(path=Path("/")),
    "a date without a zone": a_job(at=NOON.replace(tzinfo=None)),
    "a date of another zone": a_job(at=NOON.astimezone(timezone(timedelta(hours=1)))),
    "a date finer than milliseconds": a_job(at=NOON + timedelta(microseconds=1)),
    "not a number": a_job(cost=float("nan")),
    "infinity": a_job(cost=float("inf")),
    "an integer beyond 64 bits": a_job(seed=2**63),
    "a NUL in a text": a_job(text="a\0b"),
    "a lone surrogate": a_job(text="\ud800"),
    "a NUL in a key": a_job() | {"a\0b": 1},
    "a surrogate in a key": a_job() | {"\udfff": 1},
    "an operator as key": a_job(name={"$gt": ""}),
    "an operator in a list": a_job(names=[{"$ne": None}]),
    "a key with a dot": a_job() | {"a.b": 1},
    "an empty key": a_job(names={"": 1}),
    "a key that is no text": a_job(names={1: 1}),
    "an object at a declared path": a_job(alias={"a": 1}),
    "a list at a declared path": a_job(idempotency={"key": ["a"]}),
}


@pytest.mark.parametrize("broken", UNSTORABLE.values(), ids=UNSTORABLE.keys())
async def test_a_document_that_breaks_the_rules_is_refused_before_anything_is_written(documents, broken):
    await documents.insert(JOBS, a_job())

    with pytest.raises(DocumentRefused) as refusal:
        await documents.insert(JOBS, {**broken, "_id": "new"} if broken.get("_id") == "job" else broken)
    with pytest.raises(DocumentRefused):
        await documents.replace(JOBS, broken, if_version=1)

    assert isinstance(refusal.value, Permanent)
    assert await documents.find(JOBS) == [a_job()]


async def test_a_document_nested_without_end_is_refused(documents):
    nested: dict[str, Any] = {}
    listed: list[Any] = []
    nested["again"], listed[:] = nested, [listed]

    for deep in (nested, listed):
        with pytest.raises(DocumentRefused):
            await documents.insert(JOBS, a_job(deep=deep))


async def test_a_document_a_hundred_levels_deep_is_still_stored(documents):
    deep: dict[str, Any] = {"end": True}
    for _ in range(90):
        deep = {"inner": deep}

    await documents.insert(JOBS, a_job(deep=deep))

    assert (await documents.get(JOBS, "job"))["deep"] == deep


# --- unique keys


async def test_a_taken_id_is_a_duplicate_and_nothing_is_written(documents):
    await documents.insert(JOBS, a_job(prompt="first"))

    with pytest.raises(Duplicate) as refusal:
        await documents.insert(JOBS, a_job(prompt="second"))

    assert refusal.value.key == "_id"
    assert await documents.find(JOBS) == [a_job(prompt="first")]


@pytest.mark.parametrize("value", ["sunset", 7, 1.5, False, NOON, ""], ids=repr)
async def test_a_taken_unique_key_is_a_duplicate_that_names_the_key(documents, value):
    await documents.insert(JOBS, a_job("first", alias=value))

    with pytest.raises(Duplicate) as refusal:
        await documents.insert(JOBS, a_job("second", alias=value))

    assert refusal.value.key == "alias"
    assert await ids(documents) == ["first"]


async def test_a_key_of_two_paths_is_taken_only_by_both_values_together(documents):
    await documents.insert(JOBS, a_job("1", owner="ann", idempotency={"key": "k"}))
    await documents.insert(JOBS, a_job("2", owner="ann", idempotency={"key": "l"}))
    await documents.insert(JOBS, a_job("3", owner="bob", idempotency={"key": "k"}))

    with pytest.raises(Duplicate) as refusal:
        await documents.insert(JOBS, a_job("4", owner="ann", idempotency={"key": "k"}))

    assert refusal.value.key == "idempotency"
    assert await ids(documents) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"owner": "ann"}, {"owner": "ann", "idempotency": None}, {"owner": "ann", "idempotency": {"key": None}}],
)
async def test_documents_without_a_value_at_each_path_of_a_key_are_exempt(documents, fields):
    await documents.insert(JOBS, a_job("1", **fields))
    await documents.insert(JOBS, a_job("2", **fields))

    assert await documents.count(JOBS) == 2


async def test_values_that_only_look_alike_do_not_take_each_others_key(documents):
    values = ["1", 1, "a", "A", " a", "e\u0301", "\u00e9", NOON, NOON.isoformat(), "true"]

    for number, value in enumerate(values):
        await documents.insert(JOBS, a_job(str(number), alias=value))

    assert await documents.count(JOBS) == len(values)


async def test_a_replacement_that_takes_anothers_key_is_a_duplicate_and_changes_nothing(documents):
    await documents.insert(JOBS, a_job("1", alias="a"))
    await documents.insert(JOBS, a_job("2", alias="b"))

    with pytest.raises(Duplicate) as refusal:
        await documents.replace(JOBS, {"_id": "2", "version": 2, "alias": "a"}, if_version=1)

    assert refusal.value.key == "alias"
    assert await documents.get(JOBS, "2") == a_job("2", alias="b")


async def test_a_document_may_keep_its_own_key_and_free_it_for_others(documents):
    await documents.insert(JOBS, a_job("1", alias="a"))

    assert await documents.replace(JOBS, {"_id": "1", "version": 2, "alias": "a", "note": "kept"}, if_version=1)
    assert await documents.replace(JOBS, {"_id": "1", "version": 3}, if_version=2)
    await documents.insert(JOBS, a_job("2", alias="a"))
    assert await documents.delete(JOBS, "2")
    await documents.insert(JOBS, a_job("3", alias="a"))

    assert await ids(documents) == ["1", "3"]


async def test_of_fifty_inserts_of_one_key_at_once_one_wins(documents):
    results = await asyncio.gather(
        *(documents.insert(JOBS, a_job(str(number), alias="wanted")) for number in range(50)), return_exceptions=True
    )

    assert results.count(None) == 1
    assert [result.key for result in results if isinstance(result, Duplicate)] == ["alias"] * 49
    assert await ids(documents) == [str(results.index(None))]


# --- replacing and deleting


async def test_a_replacement_of_the_right_version_replaces_the_whole_document(documents):
    await documents.insert(JOBS, a_job(status="queued", note="old"))

    assert await documents.replace(JOBS, {"_id": "job", "version": 2, "status": "running"}, if_version=1)

    assert await documents.get(JOBS, "job") == {"_id": "job", "version": 2, "status": "running"}


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_a_replacement_of_another_version_changes_nothing(documents, version):
    await documents.insert(JOBS, {**a_job(status="queued"), "version": 2})

    assert not await documents.replace(JOBS, {"_id": "job", "version": 9}, if_version=version)

    assert await documents.get(JOBS, "job") == {"_id": "job", "version": 2, "status": "queued"}


async def test_a_document_that_is_gone_is_not_replaced(documents):
    assert not await documents.replace(JOBS, a_job(), if_version=1)

    assert await documents.count(JOBS) == 0


async def test_of_twenty_replacements_of_one_version_at_once_exactly_one_wins(documents):
    await documents.insert(JOBS, a_job())

    wins = await asyncio.gather(
        *(documents.replace(JOBS, {"_id": "job", "version": 2, "by": number}, if_version=1) for number in range(20))
    )

    assert wins.count(True) == 1
    assert (await documents.get(JOBS, "job"))["by"] == wins.index(True)


async def test_counting_by_replacements_from_many_tasks_loses_no_step(documents):
    await documents.insert(JOBS, a_job(steps=0))

    async def step() -> None:
        while True:
            job = await documents.get(JOBS, "job")
            version = job["version"]
            if await documents.replace(
                JOBS, {**job, "version": version + 1, "steps": job["steps"] + 1}, if_version=version
            ):
                return

    await asyncio.gather(*(step() for _ in range(10)))

    assert await documents.get(JOBS, "job") == {"_id": "job", "version": 11, "steps": 10}


async def test_a_document_is_deleted_only_if_it_meets_the_filters(documents):
    await documents.insert(JOBS, a_job("1", owner="ann"))
    await documents.insert(JOBS, a_job("2", owner="ann"))

    assert not await documents.delete(JOBS, "1", Equals("owner", "bob"))
    assert not await documents.delete(JOBS, "3")
    assert await documents.delete(JOBS, "1", Equals("owner", "ann"))
    assert not await documents.delete(JOBS, "1")

    assert await ids(documents) == ["2"]


async def test_collections_are_apart(documents):
    await documents.insert(JOBS, a_job())
    await documents.insert(OTHERS, a_job(other=True))

    assert await documents.delete(OTHERS, "job")

    assert await documents.get(JOBS, "job") == a_job()
    assert await documents.get(OTHERS, "job") is None


# --- filters


async def test_a_document_is_got_only_if_it_meets_every_filter(documents):
    await documents.insert(JOBS, a_job(owner="ann", status="queued"))

    assert await documents.get(JOBS, "job", Equals("owner", "ann"), Equals("status", "queued")) is not None
    assert await documents.get(JOBS, "job", Equals("owner", "ann"), Equals("status", "running")) is None
    assert await documents.get(JOBS, "jo") is None


async def test_equal_none_means_null_or_absent(documents):
    await documents.insert(JOBS, a_job("absent"))
    await documents.insert(JOBS, a_job("below a text", error="text"))
    await documents.insert(JOBS, a_job("null", error={"code": None}))
    await documents.insert(JOBS, a_job("set", error={"code": ""}))

    assert await ids(documents, Equals("error.code", None)) == ["absent", "below a text", "null"]


async def test_true_is_not_one_and_a_number_is_not_its_text(documents):
    values: dict[str, Any] = {
        "true": True,
        "false": False,
        "one": 1,
        "zero": 0,
        "text": "1",
        "word": "true",
        "empty": "",
    }
    for name, value in values.items():
        await documents.insert(JOBS, a_job(name, value=value))

    for name, value in values.items():
        assert await ids(documents, Equals("value", value)) == [name]
    assert await ids(documents, Equals("value", None)) == []


async def test_an_id_is_not_the_number_it_spells(documents):
    await documents.insert(JOBS, a_job("1"))

    assert await ids(documents, Equals("_id", "1")) == ["1"]
    assert await ids(documents, Equals("_id", 1)) == []
    assert await ids(documents, Range("_id", at_least=0)) == []


async def test_an_object_is_not_its_json_text(documents):
    await documents.insert(JOBS, a_job(value={"a": 1}))

    text = '{"a":1}'
    for one in (
        Equals("value", text),
        InSet("value", frozenset({text})),
        Range("value", text),
        TextContains("value", "a"),
    ):
        assert await ids(documents, one) == []
    assert await ids(documents, Range("value")) == ["job"]


async def test_whole_and_real_numbers_of_one_size_are_equal(documents):
    await documents.insert(JOBS, a_job("whole", value=2))
    await documents.insert(JOBS, a_job("real", value=2.0))

    assert await ids(documents, Equals("value", 2)) == ["real", "whole"]
    assert await ids(documents, Equals("value", 2.0)) == ["real", "whole"]


@pytest.mark.parametrize("value", [0.1, 1e300, -2.5, 1 / 3, 2**53 + 1, NOON, "ä", "\U0001f5bc"], ids=repr)
async def test_a_value_is_found_by_itself(documents, value):
    await documents.insert(JOBS, a_job(deep={"er": {"value": value}}))

    assert await ids(documents, Equals("deep.er.value", value)) == ["job"]
    assert await ids(documents, Range("deep.er.value", at_least=value)) == ["job"]
    assert await ids(documents, Range("deep.er.value", below=value)) == []


async def test_in_set_finds_texts_alone(documents):
    for name, value in {"a": "red", "b": "blue", "c": 1, "d": None}.items():
        await documents.insert(OTHERS, a_job(name, colour=value))
    found = await documents.find(OTHERS, InSet("colour", frozenset({"red", "green", "1"})))

    assert [one["_id"] for one in found] == ["a"]
    assert await documents.find(OTHERS, InSet("colour", frozenset())) == []


async def test_a_range_includes_its_beginning_and_excludes_its_end(documents):
    for minute in range(5):
        await documents.insert(
            JOBS, a_job(str(minute), at=NOON + timedelta(minutes=minute), n=minute, t="abcde"[minute])
        )
    await documents.insert(JOBS, a_job("null", at=None, n=None, t=None))
    await documents.insert(JOBS, a_job("absent"))

    for path, low, high in (
        ("at", NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)),
        ("n", 1, 3),
        ("t", "b", "d"),
    ):
        assert await ids(documents, Range(path, at_least=low, below=high)) == ["1", "2"]
        assert await ids(documents, Range(path, at_least=high)) == ["3", "4"]
        assert await ids(documents, Range(path, below=low)) == ["0"]
        assert await ids(documents, Range(path)) == ["0", "1", "2", "3", "4"]


async def test_a_range_of_dates_sees_a_millisecond(documents):
    await documents.insert(JOBS, a_job(at=NOON))

    assert await ids(documents, Range("at", below=NOON + timedelta(milliseconds=1))) == ["job"]
    assert await ids(documents, Range("at", at_least=NOON + timedelta(milliseconds=1))) == []


async def test_a_range_matches_values_of_its_own_type_only(documents):
    values = {"number": 5, "text": "m", "true": True, "date": NOON, "null": None}
    for name, value in values.items():
        await documents.insert(JOBS, a_job(name, value=value))

    for low, high, name in ((0, 9, "number"), ("a", "z", "text"), (False, None, "true"), (NOON, None, "date")):
        assert await ids(documents, Range("value", at_least=low)) == [name]
        if high is not None:
            assert await ids(documents, Range("value", below=high)) == [name]
    assert await ids(documents, Range("value", below=NOON + timedelta(days=1))) == ["date"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("HARBOUR", ["1"]),
        ("größe", ["2"]),
        ("ЛЮДИ", ["3"]),
        ("100%", ["4"]),
        ("a_c", ["5"]),
        (".*", ["6"]),
        ("(", ["6"]),
        ("\\", ["6"]),
        ("^", ["6"]),
        ("$", ["6"]),
        ("_", ["5"]),
        ("%", ["4"]),
        ("'", ["7"]),
        ("\n", ["7"]),
        ("e h", ["1"]),
        ("absent", []),
    ],
)
async def test_text_contains_ignores_letter_case_and_takes_the_text_literally(documents, text, found):
    texts = ["The Harbour", "GRÖSSE und Größe", "люди", "100% sure", "a_c", "^(.*)\\$", "it's\nhere"]
    for number, prompt in enumerate(texts, start=1):
        await documents.insert(JOBS, a_job(str(number), prompt=prompt))
    await documents.insert(JOBS, a_job("8", prompt=None))

    assert await ids(documents, TextContains("prompt", text)) == found


async def test_an_empty_text_is_contained_in_texts_alone(documents):
    for name, value in {"empty": "", "text": "a", "number": 1, "null": None, "true": True, "date": NOON}.items():
        await documents.insert(JOBS, a_job(name, value=value))

    assert await ids(documents, TextContains("value", "")) == ["empty", "text"]


@pytest.mark.parametrize(
    "value", [{"$gt": ""}, {"$ne": None}, ["$where"], ("a",), b"", object(), NOON.replace(tzinfo=None)]
)
async def test_a_filter_value_that_is_no_scalar_is_refused_and_never_interpreted(documents, value):
    await documents.insert(JOBS, a_job(owner="ann"))

    filters: list[Any] = [
        Equals("owner", value),
        Range("owner", at_least=value),
        Range("owner", below=value),
        TextContains("owner", value),
    ]
    for one in filters:
        with pytest.raises(DocumentRefused):
            await documents.find(JOBS, one)
        with pytest.raises(DocumentRefused):
            await documents.delete(JOBS, "job", one)
    with pytest.raises(DocumentRefused):
        await documents.find(JOBS, sort=Sort("owner"), after=(value, "a"))
    for call in (documents.get, documents.delete):
        with pytest.raises(DocumentRefused):
            await call(JOBS, value)

    assert await documents.count(JOBS) == 1


async def test_a_set_of_anything_but_texts_is_refused(documents):
    with pytest.raises(DocumentRefused):
        await documents.find(JOBS, InSet("owner", frozenset({None})))  # type: ignore[arg-type]


async def test_a_range_from_one_type_to_another_is_refused(documents):
    with pytest.raises(DocumentRefused):
        await documents.find(JOBS, Range("value", at_least=1, below="z"))


@pytest.mark.parametrize("text", ["a\0", "\ud800", "\0"])
async def test_nothing_is_found_by_a_text_that_no_document_can_hold(documents, text):
    await documents.insert(JOBS, a_job("a", owner="a"))

    assert await documents.get(JOBS, text) is None
    assert not await documents.delete(JOBS, text)
    assert await ids(documents, Equals("owner", text)) == []
    assert await ids(documents, InSet("owner", frozenset({text}))) == []
    assert await ids(documents, InSet("owner", frozenset({text, "a"}))) == ["a"]
    assert await ids(documents, TextContains("owner", text)) == []


BAD_PATHS = ["", ".", "a.", "$where", "a.$gt", "a b", "a'", 'a"', "a[0]", "0", "a.0", "ä", "a\n", "a) OR (1"]


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_a_path_that_is_not_words_and_dots_is_refused(documents, path):
    for one in (Equals(path, "a"), InSet(path, frozenset()), Range(path), TextContains(path, "a")):
        with pytest.raises(DocumentRefused):
            await documents.find(JOBS, one)
    with pytest.raises(DocumentRefused):
        await documents.find(JOBS, sort=Sort(path))
    with pytest.raises(DocumentRefused):
        await documents.sum_by(JOBS, path, "owner")
    with pytest.raises(DocumentRefused):
        await documents.sum_by(JOBS, "cost", path)
    with pytest.raises(DocumentRefused):
        await documents.prepare(Collection("more", indexes=((path,),)))


@pytest.mark.parametrize("name", ["", "system.users", "$cmd", 'a"', "a b", "jobs; DROP TABLE jobs", "1a", "a" * 61])
async def test_a_name_that_is_no_word_is_refused(documents, name):
    for collection in (Collection(name), Collection("more", unique=(UniqueKey(name, ("a",)),))):
        with pytest.raises(DocumentRefused):
            await documents.prepare(collection)
        with pytest.raises(DocumentRefused):
            await documents.insert(collection, a_job())
        with pytest.raises(DocumentRefused):
            await documents.find(collection)


async def test_a_collection_may_be_named_by_a_word_of_sql(documents):
    order = Collection("order", unique=(UniqueKey("group", ("select",)),), indexes=(("where.from",),))
    await documents.prepare(order)

    await documents.insert(order, a_job(select="a", where={"from": 1}))

    assert [one["_id"] for one in await documents.find(order, Equals("where.from", 1))] == ["job"]


# --- order and pages


async def test_without_a_sort_documents_come_by_id(documents):
    for name in ("b", "a", "B", "ä", "10", "9"):
        await documents.insert(JOBS, a_job(name))

    assert await ids(documents) == ["10", "9", "B", "a", "b", "ä"]
    assert await ids(documents, limit=2) == ["10", "9"]
    assert await ids(documents, after=("ignored", "9"), limit=2) == ["B", "a"]


@pytest.mark.parametrize("descending", [False, True])
async def test_ties_are_sorted_by_id_in_the_same_direction(documents, descending):
    for name, value in {"c": 1, "a": 2, "b": 1, "d": None, "e": 2}.items():
        await documents.insert(JOBS, a_job(name, value=value))
    await documents.insert(JOBS, a_job("f"))

    ascending = ["d", "f", "b", "c", "a", "e"]
    assert await ids(documents, sort=Sort("value", descending)) == (ascending[::-1] if descending else ascending)


@pytest.mark.parametrize(
    "values", [[1, 2.5, -1, 10**12], ["a", "B", "ä", "\uffff", "\U0001f5bc"], [NOON, NOON - timedelta(days=999)]]
)
async def test_values_sort_by_size_by_code_point_and_by_time(documents, values):
    for number, value in enumerate(values):
        await documents.insert(JOBS, a_job(str(number), deep={"value": value}))

    found = await documents.find(JOBS, sort=Sort("deep.value"))

    assert [one["deep"]["value"] for one in found] == sorted(values)


SORT_VALUES = {
    "ties": [1, 1, 1, 1, 1, 1, 1],
    "nulls and numbers": [None, 3, None, 1, 1, None, 2],
    "dates": [NOON, None, NOON, NOON - timedelta(milliseconds=1), None, NOON + timedelta(days=1), NOON],
    "texts": ["b", "", "a", None, "b", "\U0010ffff", ""],
    "reals": [0.1, 0.30000000000000004, 0.3, 1, 1.0, 1e-300, None],
    "booleans": [True, False, None, True, False, True, None],
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("values", SORT_VALUES.values(), ids=SORT_VALUES.keys())
async def test_pages_show_every_document_exactly_once_and_in_order(documents, values, page, descending):
    for number, value in enumerate(values):
        await documents.insert(
            JOBS, a_job(str(number), owner="ann", **({"value": value} if number % 2 or value else {}))
        )
    await documents.insert(JOBS, a_job("x", owner="bob", value=values[0]))
    sort = Sort("value", descending)

    seen: list[str] = []
    after = None
    while found := await documents.find(JOBS, Equals("owner", "ann"), sort=sort, after=after, limit=page):
        seen += [one["_id"] for one in found]
        after = (found[-1].get("value"), found[-1]["_id"])
        assert len(seen) <= len(values)

    assert sorted(seen) == [str(number) for number in range(len(values))]
    assert seen == await ids(documents, Equals("owner", "ann"), sort=sort)


async def test_pages_by_id_can_be_read_in_either_direction(documents):
    for name in "abcde":
        await documents.insert(JOBS, a_job(name))

    assert await ids(documents, sort=Sort("_id"), after=("b", "b"), limit=2) == ["c", "d"]
    assert await ids(documents, sort=Sort("_id", descending=True), after=("d", "d"), limit=2) == ["c", "b"]


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_page_without_documents_cannot_be_asked_for(documents, limit):
    with pytest.raises(DocumentRefused):
        await documents.find(JOBS, limit=limit)


async def test_a_page_may_be_larger_than_one_answer_of_the_store(documents):
    for number in range(150):
        await documents.insert(JOBS, a_job(f"{number:03}"))

    assert len(await documents.find(JOBS, limit=1000)) == 150
    assert len(await documents.find(JOBS)) == 50


# --- counting


async def test_documents_are_counted_by_filter(documents):
    for name, owner in {"1": "ann", "2": "ann", "3": "bob"}.items():
        await documents.insert(JOBS, a_job(name, owner=owner))

    assert await documents.count(JOBS) == 3
    assert await documents.count(JOBS, Equals("owner", "ann")) == 2
    assert await documents.count(JOBS, Equals("owner", "ann"), Equals("_id", "3")) == 0


async def test_numbers_are_summed_for_each_text(documents):
    costs = [("ann", 1), ("ann", 0.25), ("ann", None), ("bob", 4), ("eve", None), (None, 50), (7, 50)]
    for number, (owner, actual) in enumerate(costs):
        await documents.insert(JOBS, a_job(str(number), owner=owner, cost={"actual": actual}, kind="a"))
    await documents.insert(JOBS, a_job("other", owner="ann", cost={"actual": 100}, kind="b"))
    await documents.insert(JOBS, a_job("free", owner="ann", kind="a"))

    sums = await documents.sum_by(JOBS, "cost.actual", "owner", Equals("kind", "a"))

    assert sums == {"ann": 1.25, "bob": 4.0, "eve": 0.0}
    assert all(type(total) is float for total in sums.values())
    assert await documents.sum_by(JOBS, "cost.actual", "owner", Equals("kind", "c")) == {}


async def test_a_text_is_not_summed(documents):
    for number, actual in enumerate((1, "9", True, NOON, [5], {"a": 5})):
        await documents.insert(JOBS, a_job(str(number), owner="ann", actual=actual))

    assert await documents.sum_by(JOBS, "actual", "owner") == {"ann": 1.0}


# --- living and dying


async def test_preparing_again_and_at_once_changes_nothing(documents):
    await documents.insert(JOBS, a_job(alias="a"))

    await asyncio.gather(*(documents.prepare(JOBS, OTHERS) for _ in range(5)))
    await documents.prepare()

    assert await documents.find(JOBS) == [a_job(alias="a")]
    with pytest.raises(Duplicate):
        await documents.insert(JOBS, a_job("2", alias="a"))


async def test_a_living_store_answers_a_ping(documents):
    await documents.ping()


async def test_closing_twice_is_closing_once(documents):
    await documents.close()
    await documents.close()


@pytest.mark.parametrize("documents", ["sqlite", "mongo"], indirect=True)
async def test_a_closed_store_is_unavailable(documents):
    await documents.close()

    for call in (documents.ping(), documents.insert(JOBS, a_job()), documents.find(JOBS), documents.prepare(JOBS)):
        with pytest.raises(DocumentsUnavailable) as refusal:
            await call
        assert isinstance(refusal.value, Transient)
