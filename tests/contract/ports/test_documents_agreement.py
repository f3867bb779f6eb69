"""The SQLite adapter and the in-memory twin give the same answers to random questions about random documents."""

import asyncio
import math
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_chassis.documents import (
    Collection,
    Document,
    Documents,
    Duplicate,
    Equals,
    InSet,
    Range,
    Sort,
    TextContains,
    UniqueKey,
)
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments

THINGS = Collection("things", unique=(UniqueKey("pair", ("a", "b.c")),), indexes=(("a",), ("b.c", "a")))
PATHS = ("_id", "version", "a", "b", "b.c", "d")

texts = st.text(
    st.one_of(
        st.sampled_from("aAbBßäÄ01\U0010ffff%_'\"{}[]$. "), st.characters(exclude_characters="\0", codec="utf-8")
    ),
    max_size=4,
)
# Eight digits of a float survive every way of reading it, so that this test is about the adapters and not about the last bit.
numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2) | st.floats(-1e9, 1e9).map(lambda x: float(f"{x:.8g}"))
dates = st.integers(0, 2**40).map(lambda n: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n))
values = texts | numbers | dates | st.booleans()
scalars = values | st.none()
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ace"), inner)
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=fields)


bodies = optional(a=scalars, b=st.one_of(optional(c=scalars), scalars), d=scalars, e=nested)
paths = st.sampled_from(PATHS)
ranges = st.one_of(
    *(st.builds(Range, paths, kind | st.none(), kind | st.none()) for kind in (texts, numbers, dates, st.booleans()))
)
filters = st.lists(
    st.builds(Equals, paths, scalars)
    | st.builds(InSet, paths, st.frozensets(texts, max_size=3))
    | ranges
    | st.builds(TextContains, paths, texts),
    max_size=2,
)
sorts = st.none() | st.builds(Sort, st.sampled_from(("_id", "version", "a", "b.c", "d")), st.booleans())
questions = st.tuples(filters, sorts, st.none() | st.tuples(scalars, texts), st.integers(1, 5))


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    stored=st.lists(st.tuples(texts.filter(bool), st.integers(0, 3), bodies), max_size=12),
    replacements=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 3), bodies), max_size=3),
    asked=st.lists(questions, min_size=1, max_size=6),
)
def test_sqlite_and_memory_agree(stored, replacements, asked):
    documents = [{**body, "_id": name, "version": version} for name, version, body in stored]
    # Questions about values that occur find something more often than random ones.
    about_stored = [
        ([Equals(path, document.get(path))], Sort(path), (document.get(path), document["_id"]), 5)
        for document in documents[:3]
        for path in ("a", "d")
    ]

    async def answers(store: Documents) -> list[Any]:
        await store.prepare(THINGS)
        written = [await insert(store, document) for document in documents]
        for number, version, body in replacements:
            if number < len(documents):
                new = {**body, "_id": documents[number]["_id"], "version": version + 1}
                written.append(await replace(store, new, version))
        found = [await ask(store, *question) for question in (*asked, *about_stored)]
        await store.close()
        return [written, found]

    with tempfile.TemporaryDirectory() as folder:
        memory = asyncio.run(answers(InMemoryDocuments()))
        sqlite = asyncio.run(answers(SqliteDocuments(Path(folder) / "agreement.sqlite")))
    assert sqlite == memory


async def insert(store: Documents, document: Document) -> str:
    try:
        await store.insert(THINGS, document)
    except Duplicate as refusal:
        return refusal.key
    return "written"


async def replace(store: Documents, document: Document, version: int) -> str:
    try:
        return str(await store.replace(THINGS, document, if_version=version))
    except Duplicate as refusal:
        return refusal.key


async def ask(store: Documents, wanted: list[Any], sort: Sort | None, after: Any, limit: int) -> list[Any]:
    sums = await store.sum_by(THINGS, "a", "d", *wanted)
    return [
        repr(await store.find(THINGS, *wanted, sort=sort, after=after, limit=limit)),
        await store.count(THINGS, *wanted),
        {group: math.isclose(total, total) and f"{total:.6g}" for group, total in sums.items()},
    ]
