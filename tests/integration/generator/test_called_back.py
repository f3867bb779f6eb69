"""The called-back provider over real HTTP: what it says to an intermediary, what it makes of its answers, and the double."""

import asyncio
import base64
import io
import json
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_gateway.domain.callbacks import NotSigned, Signature
from imagetron_generator.adapters.called_back import RULES, CalledBackProvider, Dialect
from imagetron_generator.adapters.memory_provider import png
from imagetron_generator.adapters.provider_http import TASK_BYTES
from imagetron_generator.domain.orders import Delivery, ParentTask, TaskNews, TaskOrder, TaskPhase
from imagetron_generator.ports import (
    CallbackUnreadable,
    ContentFiltered,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
)
from support.eventually import eventually
from support.midjourney_double import Calls, Ending, MidjourneyDouble, Mood, a_midjourney_double
from support.ports import free_port
from support.provider_double import METADATA_URL, Operation, Pictures, Reply

CANARY = "the-violet-heron-of-quillmore"
KEY = b"k" * 32
SIGNING_SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
SOURCE = png(Dimensions(width=8, height=8), (1, 2, 3))
# Long enough to connect on a busy machine, short enough to wait for where nothing comes.
SHORT = 2.0


@pytest.fixture(scope="module")
def running() -> Iterator[MidjourneyDouble]:
    with a_midjourney_double() as double:
        yield double


@pytest.fixture
def double(running: MidjourneyDouble) -> MidjourneyDouble:
    running.reset()
    return running


@asynccontextmanager
async def a_provider(double: MidjourneyDouble, **changes: Any) -> AsyncIterator[CalledBackProvider]:
    settings = {"base_url": double.base_url, "api_key": SecretStr(double.api_key), **changes}
    provider = CalledBackProvider(**settings)
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def provider(double: MidjourneyDouble) -> AsyncIterator[CalledBackProvider]:
    async with a_provider(double, rules=replace(RULES, can_find=True)) as opened:
        yield opened


def an_order(verb: Verb = Verb.IMAGINE, **changes: Any) -> TaskOrder:
    order = TaskOrder(
        reference="0123456789abcdef0123456789abcdef",
        verb=verb,
        prompt=f"a lighthouse and {CANARY}",
        negative_prompt="",
        seed=7,
        size=Dimensions(width=96, height=64),
        images=4 if verb is not Verb.UPSCALE else 1,
        model="v7",
    )
    return replace(order, **changes)


async def ended(provider: CalledBackProvider, task: str) -> TaskNews:
    async def news() -> TaskNews | None:
        seen = await provider.look(task)
        return seen if seen.phase.is_terminal else None

    return await eventually(news)


async def submitted(provider: CalledBackProvider, order: TaskOrder | None = None) -> str:
    news = await provider.submit(order or an_order())
    assert news.provider_task_id is not None
    return news.provider_task_id


def sent(double: MidjourneyDouble) -> dict[str, Any]:
    body = double.requests[-1].body
    assert body is not None
    return body


class TestWhatIsSaid:
    async def test_an_imagining_is_the_prompt_as_it_is_with_its_size_and_our_reference(self, provider, double):
        await provider.submit(an_order())

        assert sent(double) == {
            "action": "imagine",
            "reference": "0123456789abcdef0123456789abcdef",
            "model": "v7",
            "prompt": f"a lighthouse and {CANARY}",
            "width": 96,
            "height": 64,
        }

    async def test_any_text_arrives_as_it_is(self, provider, double):
        prompt = 'ü 漢字 🦩 "quoted"\n\t\x00 --no nothing \u2028'

        await provider.submit(an_order(prompt=prompt))

        assert sent(double)["prompt"] == prompt

    async def test_a_reroll_names_the_task_that_it_repeats(self, provider, double):
        first = await submitted(provider)
        await ended(provider, first)

        await provider.submit(an_order(Verb.REROLL, parent=ParentTask(first, 0)))

        assert (sent(double)["action"], sent(double)["origin_task_id"]) == ("reroll", first)

    async def test_a_reroll_of_another_providers_picture_is_a_new_imagining(self, provider, double):
        await provider.submit(an_order(Verb.REROLL))

        assert sent(double)["action"] == "imagine"
        assert "origin_task_id" not in sent(double)

    async def test_the_pictures_of_a_task_are_counted_from_one(self, provider, double):
        first = await submitted(provider)
        await ended(provider, first)

        await provider.submit(an_order(Verb.UPSCALE, parent=ParentTask(first, 3), source=SOURCE))

        assert (sent(double)["action"], sent(double)["index"]) == ("upscale", 4)
        assert "image" not in sent(double)

    @pytest.mark.parametrize(
        ("strength", "word"), [(0.0, "subtle"), (0.49, "subtle"), (0.5, "strong"), (1.0, "strong")]
    )
    async def test_a_variation_is_subtle_below_half_our_strength(self, provider, double, strength, word):
        await provider.submit(an_order(Verb.VARY, source=SOURCE, strength=strength))

        assert sent(double)["strength"] == word
        assert base64.b64decode(sent(double)["image"]) == SOURCE

    @pytest.mark.parametrize("verb", [Verb.VARY, Verb.UPSCALE])
    async def test_what_begins_with_a_picture_is_refused_without_one(self, provider, double, verb):
        with pytest.raises(ModelRefused, match="without a picture"):
            await provider.submit(an_order(verb))

        assert double.requests == []

    async def test_two_upscalings_in_one_task_are_refused(self, provider, double):
        with pytest.raises(ModelRefused, match="makes 1 pictures"):
            await provider.submit(an_order(Verb.UPSCALE, source=SOURCE, images=2))

        assert double.requests == []

    async def test_a_negative_prompt_is_refused_and_never_written_into_the_prompt(self, provider, double):
        with pytest.raises(ModelRefused, match="negative prompt"):
            await provider.submit(an_order(negative_prompt=CANARY))

        assert double.requests == []

    async def test_a_negative_prompt_has_its_own_field_where_the_intermediary_has_one(self, double):
        async with a_provider(double, dialect=Dialect(takes_negative_prompts=True)) as provider:
            await provider.submit(an_order(negative_prompt="fog"))

        assert sent(double)["negative_prompt"] == "fog"
        assert sent(double)["prompt"] == an_order().prompt

    @pytest.mark.parametrize(
        ("width", "height", "ratio"), [(1024, 1024, "1:1"), (1344, 768, "7:4"), (768, 1344, "4:7")]
    )
    async def test_a_size_is_a_ratio_in_lowest_terms_where_the_intermediary_wants_one(
        self, double, width, height, ratio
    ):
        async with a_provider(double, dialect=Dialect(takes_aspect_ratios=True)) as provider:
            await provider.submit(an_order(size=Dimensions(width=width, height=height)))

        assert sent(double)["aspect_ratio"] == ratio
        assert not {"width", "height"} & sent(double).keys()

    async def test_the_callback_url_goes_along_with_the_secret_for_its_signatures(self, double):
        async with a_provider(double, callback_secret=SecretStr(SIGNING_SECRET)) as provider:
            await provider.submit(an_order(callback_url="http://127.0.0.1:9/c/token"))
            told = sent(double)
            await provider.submit(an_order())

        assert told["callback_url"] == "http://127.0.0.1:9/c/token"
        assert told["callback_secret"] == SIGNING_SECRET
        assert not {"callback_url", "callback_secret"} & sent(double).keys()

    @pytest.mark.parametrize(("header", "value"), [("X-API-Key", "key-1"), ("Authorization", "Bearer key-1")])
    async def test_the_key_is_in_the_header_that_is_asked_for(self, double, header, value):
        async with a_provider(double, api_key=SecretStr("key-1"), key_header=header) as provider:
            with pytest.raises(ProviderMisconfigured):
                await provider.look("any")

        assert double.requests[-1].headers[header.lower()] == value

    async def test_a_proxy_of_the_environment_is_not_used(self, double, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("NO_PROXY", "")

        async with a_provider(double) as provider:
            assert (await provider.submit(an_order())).provider_task_id


SUBMITTING = [
    (Reply.DROPPED, ModelTimedOut, 1),
    (Reply.BROKEN, ModelFailed, 1),
    (Reply.HTML, ModelFailed, 1),
    (Reply.MISSHAPEN, ModelFailed, 1),
    (Reply.ENDLESS, ModelFailed, 1),
    (Reply.UNAVAILABLE, ModelFailed, 0),
    (Reply.RATE_LIMITED, ProviderBusy, 0),
    (Reply.OUT_OF_QUOTA, ProviderQuotaSpent, 0),
    (Reply.UNPAID, ProviderQuotaSpent, 0),
    (Reply.UNAUTHORISED, ProviderMisconfigured, 0),
    (Reply.FORBIDDEN, ProviderMisconfigured, 0),
    (Reply.AGAINST_POLICY, ContentFiltered, 0),
    (Reply.REFUSED, ModelRefused, 0),
    (Reply.MOVED, ProviderMisconfigured, 0),
]


class TestBadAnswers:
    @pytest.mark.parametrize(("reply", "error", "paid"), SUBMITTING)
    async def test_each_bad_answer_to_a_submission_has_its_error_and_nothing_is_repeated(
        self, provider, double, reply, error, paid
    ):
        double.replies(reply, to="submit")

        with pytest.raises(error):
            await provider.submit(an_order())

        assert len(double.requests) == 1
        assert len(double.submissions) == paid

    @pytest.mark.parametrize("operation", ["look", "find", "cancel"])
    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (Reply.DROPPED, ModelTimedOut),
            (Reply.BROKEN, ModelFailed),
            (Reply.UNAVAILABLE, ModelFailed),
            (Reply.RATE_LIMITED, ProviderBusy),
            (Reply.UNPAID, ProviderQuotaSpent),
            (Reply.FORBIDDEN, ProviderMisconfigured),
            (Reply.MOVED, ProviderMisconfigured),
        ],
    )
    async def test_other_calls_know_the_same_errors(self, provider, double, operation: Operation, reply, error):
        task = await submitted(provider)
        double.replies(reply, to=operation)

        with pytest.raises(error):
            await getattr(provider, operation)(task)

    @pytest.mark.parametrize("reply", [Reply.HTML, Reply.MISSHAPEN, Reply.ENDLESS, Reply.REFUSED, Reply.AGAINST_POLICY])
    async def test_a_look_is_never_refused_but_not_understood(self, provider, double, reply):
        task = await submitted(provider)
        double.replies(reply, to="look")

        with pytest.raises(ModelFailed):
            await provider.look(task)

    @pytest.mark.parametrize("reply", [Reply.HANGS, Reply.TRICKLES])
    async def test_an_answer_that_does_not_end_is_not_waited_for(self, double, reply):
        double.replies(reply, to="submit")

        async with a_provider(double, seconds=SHORT) as provider:
            with pytest.raises(ModelTimedOut, match="within 2 s"):
                await provider.submit(an_order())

        assert len(double.submissions) == 1

    async def test_a_provider_that_is_not_there_has_done_nothing(self, double):
        async with a_provider(double, base_url=f"http://127.0.0.1:{free_port()}/v1") as provider:
            with pytest.raises(ModelUnavailable):
                await provider.submit(an_order())

    async def test_a_wrong_path_is_an_operators_matter(self, double):
        async with a_provider(double, base_url=f"{double.base_url}/elsewhere") as provider:
            with pytest.raises(ProviderMisconfigured, match="no such address"):
                await provider.submit(an_order())

    @pytest.mark.parametrize("reply", [reply for reply, _, _ in SUBMITTING])
    async def test_no_error_has_a_word_of_the_provider_its_address_or_our_secrets(self, double, reply):
        double.replies(reply, to="submit")
        token = "a-token-0123456789"
        order = an_order(callback_url=f"http://127.0.0.1:{free_port()}/{token}")

        async with a_provider(double, callback_secret=SecretStr(SIGNING_SECRET)) as provider:
            with pytest.raises(ChassisError) as caught:
                await provider.submit(order)

            shown = "".join(traceback.format_exception(caught.value)) + repr(provider)
        secrets = (CANARY, double.api_key, SIGNING_SECRET, token, "127.0.0.1", "You sent", "insufficient", "violation")
        assert [secret for secret in secrets if secret in shown] == []
        assert caught.value.__cause__ is caught.value.__context__ is None

    async def test_after_an_answer_that_never_came_the_task_is_found_and_lives_on(self, provider, double):
        double.replies(Reply.HANGS, to="submit")
        order = an_order(reference="never-answered")

        async with a_provider(double, seconds=SHORT) as hurried:
            with pytest.raises(ModelTimedOut):
                await hurried.submit(order)
        found = await provider.find(order.reference)

        assert found is not None
        assert found.provider_task_id == double.submissions[-1].task
        assert (await ended(provider, double.submissions[-1].task)).phase is TaskPhase.SUCCEEDED

    async def test_of_several_tasks_under_a_reference_the_oldest_that_has_not_failed_is_found(self, provider, double):
        double.mood(Mood(ending=Ending.FAILED), times=1)
        order = an_order(reference="thrice")
        failed = await submitted(provider, order)
        await ended(provider, failed)
        alive = await submitted(provider, order)
        await submitted(provider, order)

        found = await provider.find("thrice")

        assert found is not None
        assert found.provider_task_id == alive

    async def test_a_search_that_the_intermediary_does_not_know_is_an_operators_matter(self):
        with a_midjourney_double(can_find=False) as other:
            async with a_provider(other) as provider:
                with pytest.raises(ProviderMisconfigured):
                    await provider.find("any")


@dataclass
class Canned:
    """A server that gives one answer to everything."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        self.bodies.append(await reader.readexactly(int(lines.get(b"content-length", b"0"))))
        self.heads.append(head)
        headers = {"content-length": str(len(self.body)), "connection": "close", **self.headers}
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {self.status} Said\r\n{text}\r\n".encode() + self.body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


async def asked(canned: Canned, operation: str = "submit") -> Any:
    """What the provider makes of the answer."""
    async with canned.serving():
        provider = CalledBackProvider(canned.url, SecretStr("key"), rules=replace(RULES, can_find=True))
        try:
            return await getattr(provider, operation)(an_order() if operation == "submit" else "t1")
        finally:
            await provider.close()


def a_task(**changes: Any) -> bytes:
    return json.dumps({"task_id": "t1", "status": "pending", "reference": "t1", **changes}).encode()


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (400, {"error": {"code": "invalid_size"}}, ModelRefused),
            (400, {"error": {"code": "banned-prompt"}}, ContentFiltered),
            (400, {"error": {"type": "Moderation Blocked"}}, ContentFiltered),
            (403, {"error": {"code": "nsfw"}}, ContentFiltered),
            (403, {"error": "insufficient_credits"}, ProviderQuotaSpent),
            (429, {"code": "quota_exceeded"}, ProviderQuotaSpent),
            (429, {"error": {"code": "rate_limit"}}, ProviderBusy),
            (429, {"error": {"message": "quota"}}, ProviderBusy),
            (413, {}, ModelRefused),
            (400, {"error": ["policy"]}, ModelRefused),
            (410, {}, ProviderMisconfigured),
            (408, {}, ModelTimedOut),
            (409, {}, ModelFailed),
            (500, {"error": {"code": "quota_service_down"}}, ModelFailed),
            (504, {}, ModelFailed),
        ],
    )
    async def test_an_errors_code_decides_where_the_status_does_not(self, status, body, error):
        with pytest.raises(error):
            await asked(Canned(status=status, body=json.dumps(body).encode()))

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff", b'"policy"'])
    async def test_an_error_whose_body_says_nothing_is_known_by_its_status(self, body):
        with pytest.raises(ModelRefused):
            await asked(Canned(status=400, body=body))

    @pytest.mark.parametrize(
        ("said", "seconds"), [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("9e9", 3600.0), ("nan", None), ("soon", None)]
    )
    async def test_retry_after_is_read_as_seconds_within_an_hour(self, said, seconds):
        with pytest.raises(ProviderBusy) as busy:
            await asked(Canned(status=429, headers={"retry-after": said}))

        assert busy.value.retry_after_seconds == seconds

    async def test_retry_after_may_be_a_date(self):
        with pytest.raises(ProviderBusy) as busy:
            await asked(Canned(status=429, headers={"retry-after": formatdate(time.time() + 1800, usegmt=True)}))

        assert busy.value.retry_after_seconds is not None
        assert 1000 < busy.value.retry_after_seconds <= 1800

    async def test_a_good_answer_may_say_when_to_look_again(self):
        news = await asked(Canned(headers={"retry-after": "4"}, body=a_task()), "look")

        assert news.look_again_seconds == 4.0

    @pytest.mark.parametrize(("size", "is_read"), [(TASK_BYTES, True), (TASK_BYTES + 1, False)])
    async def test_an_answer_is_read_up_to_its_bound(self, size, is_read):
        canned = Canned(body=a_task().ljust(size))

        if is_read:
            assert (await asked(canned)).provider_task_id == "t1"
        else:
            with pytest.raises(ModelFailed):
                await asked(canned)

    async def test_a_compressed_answer_is_not_asked_for(self):
        canned = Canned(body=a_task())

        await asked(canned)

        assert b"accept-encoding: identity" in canned.heads[0].lower()

    async def test_a_compressed_answer_is_not_read(self):
        with pytest.raises(ModelFailed):
            await asked(Canned(headers={"content-encoding": "gzip"}, body=a_task()))

    async def test_unknown_fields_are_no_matter(self):
        news = await asked(Canned(body=a_task(plan="fast", images=None, error=None)))

        assert (news.provider_task_id, news.phase) == ("t1", TaskPhase.WAITING)

    @pytest.mark.parametrize(
        "changes",
        [
            {"status": "exploded"},
            {"status": "FINISHED"},
            {"status": None},
            {"task_id": ""},
            {"task_id": 5},
            {"task_id": "../admin"},
            {"task_id": "x" * 129},
            {"progress": "half"},
            {"images": "none"},
            {"images": [{}] * 17},
            {"images": [{"url": "http://x/" + "y" * 5000}]},
            {"error": "why not"},
        ],
    )
    async def test_an_answer_of_another_shape_is_not_understood(self, changes):
        with pytest.raises(ModelFailed):
            await asked(Canned(body=a_task(**changes)))

    async def test_an_answer_about_another_task_is_not_taken_for_ours(self):
        with pytest.raises(ModelFailed, match="another"):
            await asked(Canned(body=a_task(task_id="t2")), "look")

    async def test_a_list_without_references_is_not_taken_for_ours(self):
        with pytest.raises(ModelFailed, match="references"):
            await asked(Canned(body=b'{"tasks": [' + a_task(reference=None) + b"]}"), "find")

    async def test_tasks_under_other_references_are_not_ours(self):
        assert await asked(Canned(body=b'{"tasks": [' + a_task(reference="t2") + b"]}"), "find") is None

    async def test_of_failed_tasks_alone_the_oldest_is_found(self):
        tasks = b", ".join(a_task(task_id=name, status="failed") for name in ("t7", "t8"))

        news = await asked(Canned(body=b'{"tasks": [' + tasks + b"]}"), "find")

        assert (news.provider_task_id, news.phase) == ("t7", TaskPhase.FAILED)

    @pytest.mark.parametrize("status", [200, 204, 400, 404, 409, 410, 422])
    async def test_cancelling_what_cannot_be_cancelled_is_quiet(self, status):
        assert await asked(Canned(status=status, body=b""), "cancel") is None


def read(**changes: Any) -> TaskNews:
    """A callback's body, read without any provider there."""
    return CalledBackProvider("https://provider.test/v1", SecretStr("key")).read_callback(a_task(**changes))


class TestNews:
    @pytest.mark.parametrize(
        ("word", "phase"),
        [
            ("pending", TaskPhase.WAITING),
            ("processing", TaskPhase.PROCESSING),
            ("failed", TaskPhase.FAILED),
            ("cancelled", TaskPhase.CANCELLED),
        ],
    )
    def test_each_status_is_a_phase(self, word, phase):
        assert read(status=word).phase is phase

    @pytest.mark.parametrize(
        ("percent", "share"), [(0, 0.0), (35, 0.35), (99.5, 0.995), (100, 1.0), (250, 1.0), (-3, 0.0), (None, None)]
    )
    def test_progress_is_a_share_within_bounds(self, percent, share):
        assert read(status="processing", progress=percent).progress == share

    def test_progress_that_is_no_number_says_nothing(self):
        assert read(status="processing", progress=float("nan")).progress is None

    def test_each_picture_has_its_url_or_the_reason_why_there_is_none(self):
        images = [
            {"url": "https://cdn.test/1.png", "width": 5},
            {"error": {"code": "content_policy", "message": CANARY}},
            {"error": CANARY},
            {},
        ]

        news = read(status="finished", images=images)

        assert news.deliveries[0] == Delivery(0, url="https://cdn.test/1.png")
        assert [delivery.code for delivery in news.deliveries[1:]] == [
            FailureCode.CONTENT_FILTERED,
            FailureCode.MODEL_UNAVAILABLE,
            FailureCode.MODEL_UNAVAILABLE,
        ]
        assert "picture 2 of the task by its content policy" in (news.deliveries[1].message or "")
        assert CANARY not in repr(news)

    def test_a_picture_with_an_error_has_none_whatever_url_there_is(self):
        (delivery,) = read(status="finished", images=[{"url": "https://x.test", "error": {"code": 5}}]).deliveries

        assert (delivery.url, delivery.code) == (None, FailureCode.MODEL_UNAVAILABLE)

    def test_a_task_that_finished_without_a_picture_has_failed(self):
        news = read(status="finished", images=[])

        assert (news.phase, news.code) == (TaskPhase.FAILED, FailureCode.MODEL_UNAVAILABLE)

    def test_pictures_of_unfinished_tasks_are_not_delivered(self):
        assert read(status="processing", images=[{"url": "https://cdn.test/preview.png"}]).deliveries == ()

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            ({"code": "moderation"}, FailureCode.CONTENT_FILTERED),
            ({"code": "quota_exceeded"}, FailureCode.QUOTA_EXCEEDED),
            ({"code": "invalid_parameter"}, FailureCode.MODEL_REFUSED),
            ({"code": "render_failed"}, FailureCode.MODEL_UNAVAILABLE),
            ({"code": 17}, FailureCode.MODEL_UNAVAILABLE),
            ({"message": "policy"}, FailureCode.MODEL_UNAVAILABLE),
            (None, FailureCode.MODEL_UNAVAILABLE),
        ],
    )
    def test_a_failed_task_has_the_code_that_its_error_means(self, error, code):
        news = read(status="failed", error=error)

        assert (news.phase, news.code) == (TaskPhase.FAILED, code)

    def test_a_task_that_the_provider_cancelled_says_so(self):
        assert read(status="cancelled").code is FailureCode.CANCELLED

    def test_an_unknown_word_is_unreadable(self):
        with pytest.raises(CallbackUnreadable):
            read(status="exploded")


class TestSettings:
    @pytest.mark.parametrize(
        "base_url",
        [
            "http://provider.test/v1",
            "ftp://127.0.0.1/v1",
            "provider.test",
            "",
            "https://",
            "https://user:hunter2@provider.test",
            "https://provider.test/v1?key=hunter2",
            "https://provider.test/#hunter2",
            "https://provider.test:hunter2/",
            "https://provider.test/\x00hunter2",
        ],
    )
    def test_an_address_that_would_give_away_the_key_is_refused_and_not_quoted(self, base_url):
        with pytest.raises(ValueError, match="base URL of the provider callback") as caught:
            CalledBackProvider(base_url, SecretStr("key"))

        assert "hunter2" not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("key", ["", "two words", "hunter2\n", "schlüssel"])
    def test_a_key_that_cannot_be_sent_is_refused_and_not_quoted(self, key):
        with pytest.raises(ValueError, match="API key of the provider callback") as caught:
            CalledBackProvider("https://provider.test", SecretStr(key))

        assert "hunter2" not in str(caught.value)

    def test_a_header_that_cannot_be_sent_is_refused(self):
        with pytest.raises(ValueError, match="header for the API key"):
            CalledBackProvider("https://provider.test", SecretStr("key"), key_header="X: Y")


class TestTheDouble:
    """What others rely on in the double."""

    @pytest.fixture
    async def inbox(self) -> AsyncIterator[Canned]:
        inbox = Canned()
        async with inbox.serving():
            yield inbox

    async def told(self, provider, double, inbox: Canned, mood: Mood, count: int) -> list[dict[str, Any]]:
        """What came in of one task, once all had been answered."""
        double.mood(mood, times=1)
        await provider.submit(an_order(callback_url=f"{inbox.url}/{'r' * 32}.{'t' * 22}"))
        await eventually(lambda: len(double.callbacks) >= count)
        assert len(inbox.bodies) == count
        return [json.loads(body) for body in inbox.bodies]

    async def test_it_tells_all_in_order(self, provider, double, inbox):
        told = await self.told(provider, double, inbox, Mood(), 4)

        assert [(one["status"], one["progress"]) for one in told] == [
            ("pending", 0),
            ("processing", 30),
            ("processing", 70),
            ("finished", 100),
        ]
        assert {called.answer for called in double.callbacks} == {200}

    async def test_it_tells_all_before_it_answers(self, provider, double, inbox):
        double.mood(Mood(calls=Calls.BEFORE_THE_ANSWER), times=1)

        news = await provider.submit(an_order(callback_url=f"{inbox.url}/token"))

        assert json.loads(inbox.bodies[-1])["status"] == "finished"
        assert news.phase is TaskPhase.WAITING

    async def test_it_tells_each_five_times(self, provider, double, inbox):
        told = await self.told(provider, double, inbox, Mood(calls=Calls.FIVEFOLD, progress=()), 10)

        assert sorted(one["status"] for one in told) == ["finished"] * 5 + ["pending"] * 5

    async def test_it_tells_the_end_first(self, provider, double, inbox):
        told = await self.told(provider, double, inbox, Mood(calls=Calls.REORDERED), 4)

        assert [one["progress"] for one in told] == [100, 70, 30, 0]

    async def test_it_tells_late_but_then_all_of_it(self, provider, double, inbox):
        told = await self.told(provider, double, inbox, Mood(late_seconds=0.05), 4)

        assert [one["progress"] for one in told] == [0, 30, 70, 100]

    async def test_what_is_told_late_is_not_told_at_the_end(self, provider, double, inbox):
        double.mood(Mood(late_seconds=3600), times=1)
        task = await submitted(provider, an_order(callback_url=f"{inbox.url}/token"))

        await ended(provider, task)

        assert inbox.bodies == []

    async def test_it_tells_nothing_or_what_a_test_wants_told(self, provider, double, inbox):
        double.mood(Mood(calls=Calls.NEVER), times=1)
        task = await submitted(provider, an_order(callback_url=f"{inbox.url}/token"))
        await ended(provider, task)
        assert inbox.bodies == []

        assert await double.call_back(task, times=3) == [200, 200, 200]

        assert len(set(inbox.bodies)) == 1

    async def test_it_tells_again_until_it_is_heard(self, provider, double, inbox):
        inbox.status = 503

        told = await self.told(provider, double, inbox, Mood(progress=(), tries=3, ending=Ending.NEVER), 3)

        assert {one["status"] for one in told} == {"pending"}

    async def test_it_forges_a_token(self, provider, double, inbox):
        await self.told(provider, double, inbox, Mood(calls=Calls.FORGED, progress=(), ending=Ending.NEVER), 1)

        assert inbox.heads[0].startswith(b"POST /" + b"r" * 32 + b"." + b"A" * 22 + b" ")

    @pytest.mark.parametrize(("calls", "is_good"), [(Calls.IN_ORDER, True), (Calls.MISSIGNED, False)])
    async def test_its_signatures_are_those_that_the_gateway_checks(self, double, inbox, calls, is_good):
        async with a_provider(double, callback_secret=SecretStr(SIGNING_SECRET)) as provider:
            await self.told(provider, double, inbox, Mood(calls=calls, progress=(), ending=Ending.NEVER), 1)

        lines = dict(line.split(b": ", 1) for line in inbox.heads[0].decode().lower().encode().split(b"\r\n")[1:-2])
        as_sent = dict(line.split(b": ", 1) for line in inbox.heads[0].split(b"\r\n")[1:-2])
        signature = Signature(
            lines[b"webhook-id"].decode(),
            lines[b"webhook-timestamp"].decode(),
            {name.lower(): value for name, value in as_sent.items()}[b"webhook-signature"].decode(),
        )
        if is_good:
            assert signature.check(inbox.bodies[0], [KEY], datetime.now(UTC)).startswith("msg_task-")
        else:
            with pytest.raises(NotSigned):
                signature.check(inbox.bodies[0], [KEY], datetime.now(UTC))

    async def test_its_progress_may_go_backwards(self, provider, double, inbox):
        told = await self.told(provider, double, inbox, Mood(progress=(60, 20)), 4)

        assert [one["progress"] for one in told] == [0, 60, 20, 100]

    async def test_it_may_forget_what_it_was_paid_for(self, provider, double, inbox):
        double.mood(Mood(ending=Ending.FORGOTTEN), times=1)
        task = await submitted(provider, an_order(callback_url=f"{inbox.url}/token"))

        assert (await provider.look(task)).code is FailureCode.WORK_LOST
        assert [submission.task for submission in double.submissions] == [task]

    async def test_a_cancelled_task_goes_no_further(self, provider, double, inbox):
        double.mood(Mood(step_seconds=3600), times=1)
        task = await submitted(provider, an_order(callback_url=f"{inbox.url}/token"))

        await provider.cancel(task)

        await eventually(lambda: any(called.status == "cancelled" for called in double.callbacks))
        assert (await provider.look(task)).phase is TaskPhase.CANCELLED

    async def test_its_pictures_are_pictures_of_the_size_in_all_formats_and_each_another(self, provider):
        news = await ended(provider, await submitted(provider))

        pictures = [await fetched(delivery) for delivery in news.deliveries]

        opened = [Image.open(io.BytesIO(answer.content)) for answer in pictures]
        assert [image.format for image in opened] == ["PNG", "JPEG", "WEBP", "PNG"]
        assert {image.size for image in opened} == {(96, 64)}
        assert len({image.convert("RGB").tobytes() for image in opened}) == 4

    @pytest.mark.parametrize(
        "kind", [Pictures.ONE_MISSING, Pictures.ONE_BOMB, Pictures.ONE_HTML, Pictures.ONE_INTERNAL]
    )
    async def test_one_of_its_pictures_may_be_bad_behind_its_url(self, provider, double, kind):
        double.mood(Mood(pictures=kind), times=1)
        news = await ended(provider, await submitted(provider))
        hits = double.internal_hits

        first, second = [await fetched(delivery) for delivery in news.deliveries[:2]]

        assert first.status_code == 200
        match kind:
            case Pictures.ONE_MISSING:
                assert second.status_code == 404
            case Pictures.ONE_BOMB:
                assert len(second.content) < 200_000
                assert int.from_bytes(second.content[16:20]) * int.from_bytes(second.content[20:24]) == 400_000_000
            case Pictures.ONE_HTML:
                assert second.content.startswith(b"<html>")
                assert second.headers["content-type"].startswith("image/")
            case _:
                assert double.internal_hits == hits + 1

    async def test_one_of_its_pictures_may_fail_or_lie_where_nobody_may_go(self, provider, double):
        double.mood(Mood(pictures=Pictures.ONE_FAILED), times=1)
        failed = await ended(provider, await submitted(provider))
        double.mood(Mood(pictures=Pictures.ONE_METADATA), times=1)
        astray = await ended(provider, await submitted(provider))

        assert [delivery.code for delivery in failed.deliveries] == [None, FailureCode.MODEL_UNAVAILABLE, None, None]
        assert astray.deliveries[1].url == METADATA_URL

    async def test_its_ledger_is_a_file_that_outlives_it(self, tmp_path: Path):
        ledger = tmp_path / "ledger"
        for _ in range(2):
            with a_midjourney_double(ledger) as double:
                double.replies(Reply.BROKEN, to="submit")
                async with a_provider(double) as provider:
                    with pytest.raises(ModelFailed):
                        await provider.submit(an_order())

        lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
        assert [line["reference"] for line in lines] == [an_order().reference] * 2
        assert lines[0]["at"] <= lines[1]["at"]


async def fetched(delivery: Delivery) -> httpx.Response:
    assert delivery.url is not None
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.get(delivery.url)
