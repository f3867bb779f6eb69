"""Prompts, chats and the ledger of paid calls, over each document store that runs here without a server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.cursors import InvalidCursor
from imagetron_chassis.documents import Collection, Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import PaidCall, Prompt, Source, SubjectsTurn
from imagetron_prompt.adapters.calls import DocumentCalls
from imagetron_prompt.adapters.prompts import PROMPTS, DocumentPrompts, PromptUnreadable
from imagetron_prompt.adapters.turns import TURNS, DocumentTurns, TurnUnreadable
from imagetron_prompt.domain.calls import Call, Purpose, begun, product_id
from imagetron_prompt.domain.prompts import KeptPrompt
from imagetron_prompt.domain.written import Usage
from support.builders import NOW

ANNA, BERT = Principal("anna"), Principal("bert")
OPERATOR = Principal("operator", sees_all_owners=True)
CANARY = "canary-55f0"


@dataclass(frozen=True)
class Stores:
    documents: Documents
    path: Path

    @property
    def prompts(self) -> DocumentPrompts:
        return DocumentPrompts(self.documents)

    @property
    def turns(self) -> DocumentTurns:
        return DocumentTurns(self.documents)

    @property
    def calls(self) -> DocumentCalls:
        return DocumentCalls(self.documents)

    async def break_(self, collection: Collection, document_id: str, **fields: Any) -> None:
        document = await self.documents.get(collection, document_id)
        assert document is not None
        version = document["version"]
        broken = {**document, **fields, "version": version + 1}
        assert await self.documents.replace(collection, broken, if_version=version)


@pytest.fixture(params=["memory", "sqlite"])
async def stores(request, tmp_path) -> AsyncIterator[Stores]:
    path = tmp_path / "documents.sqlite3"
    documents: Documents = InMemoryDocuments() if request.param == "memory" else SqliteDocuments(path)
    made = Stores(documents, path)
    for collection in (made.prompts, made.turns, made.calls):
        await collection.prepare()
    yield made
    await documents.close()


def a_prompt(number: int = 1, owner: str = "anna", **fields: Any) -> KeptPrompt:
    at = NOW + timedelta(seconds=number)
    given = {"version": 1, "title": f"Title {number}", "text": f"Text {number}", "subject": "A pier", "status": "draft"}
    origin = {"source": Source.MODEL, "template": "prompts@1", "created_at": at, "updated_at": at}
    prompt = Prompt.model_validate({"id": product_id(f"{owner}-{number}"), **given, **origin, **fields})
    return KeptPrompt(owner, prompt)


def a_turn(number: int = 1) -> SubjectsTurn:
    return SubjectsTurn(
        id=product_id(f"turn-{number}"),
        topic=f"topic {number}",
        subjects=("A pier", "A crane"),
        source=Source.OFFLINE,
        template="offline-subjects@1",
        created_at=NOW + timedelta(seconds=number),
    )


def a_call() -> Call:
    paid = PaidCall(id="call-1", fingerprint="print-1")
    return begun(paid, Purpose.TITLE, "anna", NOW, timedelta(seconds=30))


async def test_a_prompt_comes_back_as_it_was_stored(stores: Stores):
    odd = a_prompt(text=" \ufeff\u202eA\tpier\r\n\u2028\x1b[31m e\u0301 💥 ", subject=None)
    kept = replace(odd, retitled_by=("call-1", "call-2"))

    assert await stores.prompts.add(kept, ANNA)
    assert await stores.prompts.get(kept.prompt.id, ANNA) == kept


async def test_a_prompt_that_is_there_stays_as_it_is(stores: Stores):
    first, second = a_prompt(), a_prompt(title="Another")
    assert await stores.prompts.add(first, ANNA)

    assert not await stores.prompts.add(second, ANNA)
    assert await stores.prompts.get(first.prompt.id, ANNA) == first


async def test_of_many_who_add_the_same_prompt_one_does(stores: Stores):
    added = await asyncio.gather(*(stores.prompts.add(a_prompt(title=f"Title {n}"), ANNA) for n in range(8)))

    assert sum(added) == 1


async def test_a_prompt_is_replaced_at_its_version_alone(stores: Stores):
    kept = a_prompt()
    await stores.prompts.add(kept, ANNA)
    changed = kept.changed(title="Mine", text=None, status=None, now=NOW)

    assert await stores.prompts.replace(changed, ANNA, if_version=1)
    assert not await stores.prompts.replace(changed, ANNA, if_version=1)
    assert await stores.prompts.get(kept.prompt.id, ANNA) == changed


async def test_a_prompt_is_removed_at_its_version_or_at_any(stores: Stores):
    for number in (1, 2):
        await stores.prompts.add(a_prompt(number), ANNA)
    first, second = a_prompt(1).prompt.id, a_prompt(2).prompt.id

    assert not await stores.prompts.remove(first, ANNA, if_version=2)
    assert await stores.prompts.remove(first, ANNA, if_version=1)
    assert await stores.prompts.remove(second, ANNA, if_version=None)
    assert not await stores.prompts.remove(second, ANNA, if_version=None)


async def test_what_is_others_is_not_there(stores: Stores):
    kept = a_prompt()
    await stores.prompts.add(kept, ANNA)

    assert await stores.prompts.get(kept.prompt.id, BERT) is None
    assert not await stores.prompts.remove(kept.prompt.id, BERT, if_version=None)
    assert (await stores.prompts.page(BERT, status=None, after=None, limit=10)).prompts == []
    with pytest.raises(PermissionError):
        await stores.prompts.replace(kept, BERT, if_version=1)
    with pytest.raises(PermissionError):
        await stores.prompts.add(a_prompt(2), BERT)


async def test_who_sees_all_owners_reads_changes_and_removes_all(stores: Stores):
    for owner in ("anna", "bert"):
        await stores.prompts.add(a_prompt(owner=owner), Principal(owner))
    changed = a_prompt().changed(title="Mine", text=None, status=None, now=NOW)

    assert len((await stores.prompts.page(OPERATOR, status=None, after=None, limit=10)).prompts) == 2
    assert await stores.prompts.replace(changed, OPERATOR, if_version=1)
    assert await stores.prompts.get(changed.prompt.id, ANNA) == changed
    assert await stores.prompts.remove(changed.prompt.id, OPERATOR, if_version=2)


async def test_pages_of_prompts_follow_each_other_newest_first_by_label(stores: Stores):
    for number in range(9):
        await stores.prompts.add(a_prompt(number, status="used" if number % 2 else "draft"), ANNA)

    seen: list[str] = []
    after: str | None = None
    for _ in range(3):
        page = await stores.prompts.page(ANNA, status="draft", after=after, limit=2)
        seen, after = [*seen, *(kept.prompt.title for kept in page.prompts)], page.next

    assert seen == [f"Title {number}" for number in (8, 6, 4, 2, 0)]
    assert after is None


async def test_prompts_of_one_moment_are_all_shown_once(stores: Stores):
    for number in range(7):
        await stores.prompts.add(a_prompt(number, created_at=NOW), ANNA)

    seen: set[str] = set()
    after: str | None = None
    for _ in range(4):
        page = await stores.prompts.page(ANNA, status=None, after=after, limit=2)
        seen, after = seen | {kept.prompt.id for kept in page.prompts}, page.next

    assert (len(seen), after) == (7, None)


@pytest.mark.parametrize("cursor", ["", "x", "bnVsbA"])
async def test_a_cursor_of_somebody_else_is_refused(stores: Stores, cursor):
    with pytest.raises(InvalidCursor):
        await stores.prompts.page(ANNA, status=None, after=cursor, limit=2)
    with pytest.raises(InvalidCursor):
        await stores.turns.page(ANNA, after=cursor, limit=2)


async def test_a_prompt_that_cannot_be_read_hides_no_other_and_is_not_quoted(stores: Stores):
    for number in range(5):
        await stores.prompts.add(a_prompt(number), ANNA)
    broken = a_prompt(2).prompt.id
    await stores.break_(PROMPTS, broken, title=7, text=CANARY)

    with capture_logs() as logs:
        first = await stores.prompts.page(ANNA, status=None, after=None, limit=3)
        second = await stores.prompts.page(ANNA, status=None, after=first.next, limit=3)
    with pytest.raises(PromptUnreadable) as error:
        await stores.prompts.get(broken, ANNA)

    assert [kept.prompt.title for kept in (*first.prompts, *second.prompts)] == [
        "Title 4",
        "Title 3",
        "Title 1",
        "Title 0",
    ]
    assert [(line["event"], line["prompt_id"]) for line in logs] == [("prompt_unreadable", broken)]
    assert CANARY not in f"{logs} {error.value!r} {error.value.__cause__!r}"


async def test_a_prompt_without_its_owner_cannot_be_read(stores: Stores):
    await stores.prompts.add(a_prompt(), ANNA)
    document = await stores.documents.get(PROMPTS, a_prompt().prompt.id)
    assert document is not None
    del document["retitledBy"]
    assert await stores.documents.replace(PROMPTS, document | {"version": 2}, if_version=1)

    with pytest.raises(PromptUnreadable, match="KeyError"):
        await stores.prompts.get(a_prompt().prompt.id, ANNA)


async def test_a_turn_comes_back_as_it_was_stored_and_is_stored_once(stores: Stores):
    assert await stores.turns.add(a_turn(), ANNA)
    assert not await stores.turns.add(a_turn().model_copy(update={"topic": "other"}), ANNA)

    assert await stores.turns.get(a_turn().id, ANNA) == a_turn()


@pytest.mark.parametrize("reader", [BERT, OPERATOR])
async def test_a_chat_is_its_owners_alone(stores: Stores, reader):
    await stores.turns.add(a_turn(), ANNA)

    assert await stores.turns.get(a_turn().id, reader) is None
    assert (await stores.turns.page(reader, after=None, limit=5)).turns == []
    assert await stores.turns.forget(reader) == 0
    assert await stores.turns.forget(ANNA) == 1


async def test_pages_of_turns_follow_each_other_newest_first(stores: Stores):
    for number in range(5):
        await stores.turns.add(a_turn(number), ANNA)

    first = await stores.turns.page(ANNA, after=None, limit=3)
    second = await stores.turns.page(ANNA, after=first.next, limit=3)

    assert [turn.topic for turn in (*first.turns, *second.turns)] == [f"topic {n}" for n in (4, 3, 2, 1, 0)]
    assert second.next is None


async def test_a_page_of_turns_is_cut_where_the_message_is_full(stores: Stores):
    for number in range(4):
        await stores.turns.add(a_turn(number).model_copy(update={"subjects": ("💥" * 200,) * 30}), ANNA)

    first = await stores.turns.page(ANNA, after=None, limit=4)
    second = await stores.turns.page(ANNA, after=first.next, limit=4)

    assert [turn.topic for turn in (*first.turns, *second.turns)] == [f"topic {n}" for n in (3, 2, 1, 0)]
    assert (len(first.turns), second.next) == (2, None)


async def test_a_turn_that_cannot_be_read_hides_no_other_is_not_quoted_and_can_be_forgotten(stores: Stores):
    for number in range(3):
        await stores.turns.add(a_turn(number), ANNA)
    await stores.break_(TURNS, a_turn(1).id, subjects=CANARY)

    with capture_logs() as logs:
        page = await stores.turns.page(ANNA, after=None, limit=3)
    with pytest.raises(TurnUnreadable) as error:
        await stores.turns.get(a_turn(1).id, ANNA)

    assert [turn.topic for turn in page.turns] == ["topic 2", "topic 0"]
    assert [(line["event"], line["turn_id"]) for line in logs] == [("turn_unreadable", a_turn(1).id)]
    assert CANARY not in f"{logs} {error.value!r} {error.value.__cause__!r}"
    assert await stores.turns.forget(ANNA) == 3


@pytest.mark.parametrize("cost", [None, Decimal(0), Decimal("0.000000001"), Decimal("12.3456789")])
async def test_a_call_comes_back_as_it_was_stored_to_the_last_billionth_of_a_dollar(stores: Stores, cost):
    call = a_call()
    done = call.done(("turn-1",), NOW, usage=Usage(10, 2, cost), template="title@1")
    await stores.calls.add(call, ANNA)

    assert await stores.calls.get("call-1", ANNA) == call
    assert await stores.calls.replace(done, ANNA, if_version=1)
    assert await stores.calls.get("call-1", ANNA) == done


async def test_a_call_is_begun_by_one_alone(stores: Stores):
    added = await asyncio.gather(*(stores.calls.add(a_call(), ANNA) for _ in range(8)))

    assert sum(added) == 1


async def test_a_call_is_taken_over_by_one_alone(stores: Stores):
    await stores.calls.add(a_call(), ANNA)
    again = a_call().begun_again(NOW + timedelta(seconds=30), timedelta(seconds=30))

    taken = await asyncio.gather(*(stores.calls.replace(again, ANNA, if_version=1) for _ in range(8)))

    assert sum(taken) == 1


async def test_a_call_is_its_owners_alone(stores: Stores):
    await stores.calls.add(a_call(), ANNA)

    assert await stores.calls.get("call-1", OPERATOR) is None
    assert not await stores.calls.add(replace(a_call(), owner="bert"), BERT)
    with pytest.raises(PermissionError):
        await stores.calls.add(a_call(), BERT)
    with pytest.raises(PermissionError):
        await stores.calls.replace(a_call(), OPERATOR, if_version=1)


async def test_everything_outlives_the_process(tmp_path):
    path = tmp_path / "documents.sqlite3"
    before = Stores(SqliteDocuments(path), path)
    for collection in (before.prompts, before.turns, before.calls):
        await collection.prepare()
    await before.prompts.add(a_prompt(), ANNA)
    await before.turns.add(a_turn(), ANNA)
    await before.calls.add(a_call(), ANNA)
    await before.documents.close()

    after = Stores(SqliteDocuments(path), path)
    for collection in (after.prompts, after.turns, after.calls):
        await collection.prepare()
    assert await after.prompts.get(a_prompt().prompt.id, ANNA) == a_prompt()
    assert await after.turns.get(a_turn().id, ANNA) == a_turn()
    assert await after.calls.get("call-1", ANNA) == a_call()
    await after.documents.close()
