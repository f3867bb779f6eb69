"""Families of providers that answer later, over a real broker, a document store on disk, and doubles of the providers on HTTP.

The gateway's part is played by a small receiver: it checks a callback's token, keeps the body and passes the message on.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from pydantic import SecretStr

from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, Subscription
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.downloads import DownloadRules, GuardedDownloads
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Message
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, callback_key, cancelled_key, spec_key
from imagetron_contracts.stages import (
    FamilyRequested,
    JobCancelled,
    Lane,
    Pool,
    ProviderCallback,
    RendersGenerated,
    StageFailed,
)
from imagetron_contracts.topology import (
    DERIVER_RENDERS,
    GATEWAY_FAILED,
    GENERATOR_BATCH,
    GENERATOR_CALLBACKS,
    GENERATOR_EXTERNAL,
    GENERATOR_INTERACTIVE,
)
from imagetron_generator.adapters.called_back import CalledBackProvider
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.adapters.pictures import ReaderPictures
from imagetron_generator.adapters.polled import PolledProvider
from imagetron_generator.adapters.provider_tasks import DocumentProviderTasks
from imagetron_generator.domain.orders import TaskRules
from imagetron_generator.domain.provider_tasks import ProviderTask, TaskState
from imagetron_generator.domain.work_format import digest_of
from imagetron_generator.handlers import Dependencies, on_job_cancelled, subscriptions
from imagetron_generator.ports import TaskProvider
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.slots import Slots
from imagetron_generator.usecases.tasks.attending import sweep
from imagetron_generator.usecases.tasks.desk import TaskDesk
from imagetron_generator.usecases.tasks.watch import Watch
from support.eventually import eventually
from support.midjourney_double import Calls, Ending, MidjourneyDouble, Mood, a_midjourney_double
from support.polled_double import PolledDouble, a_polled_double
from support.ports import free_port
from support.provider_double import Pictures, ProviderDouble, Reply

SIZE = Dimensions(width=64, height=48)
# As patient as the real ones are, on a shorter scale.
CALLED_BACK = TaskRules(
    images_per_task=4,
    verbs=frozenset(),
    calls_back=True,
    first_look_seconds=60,
    longest_pause_seconds=60,
    callback_window_seconds=1,
)
ASKED = replace(CALLED_BACK, first_look_seconds=0.2, longest_pause_seconds=0.5)
TOKENS = CallbackTokens("a secret of twenty-four bytes and more")


class Gateway:
    """Takes callbacks in over HTTP; hears what the generators say."""

    def __init__(self, broker: Broker, work: FilesystemBlobs) -> None:
        self.facts = Facts(broker.publisher, source="imagetron/gateway", clock=SystemClock())
        self.consumer = Consumer(
            broker, self.facts, [Subscription(queue, self._hear) for queue in (DERIVER_RENDERS, GATEWAY_FAILED)]
        )
        self.work = work
        self.heard: list[Message] = []
        self.base_url = ""

    def callback_url(self, provider: str, reference: str) -> str:
        return f"{self.base_url}/webhooks/providers/{provider}/{TOKENS.token(provider, reference)}"

    async def _hear(self, envelope: Envelope) -> list[Message]:
        self.heard.append(envelope.data)
        return []

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        *_, provider, token = scope["path"].split("/")
        reference = TOKENS.reference(provider, token)
        if reference is not None:
            await self.take_in(provider, reference, body)
        await send({"type": "http.response.start", "status": 202 if reference else 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def take_in(self, provider: str, reference: str, body: bytes, *, is_signed: bool | None = None) -> None:
        """The same body for the same task is the same event."""
        inbox_id = str(uuid.uuid5(uuid.NAMESPACE_OID, reference + body.hex()))
        await self.work.put_if_absent(callback_key(provider, inbox_id), body, content_type="application/json")
        callback = ProviderCallback(provider=provider, inbox_id=inbox_id, task_reference=reference, is_signed=is_signed)
        await self.facts.publish(callback)

    def results(self, request: FamilyRequested) -> list[RendersGenerated | StageFailed]:
        """What the family came to; a repeat counted once."""
        found = {
            one.message_id(): one
            for one in self.heard
            if isinstance(one, RendersGenerated | StageFailed) and one.job_id == request.job_id
        }
        return list(found.values())


class World:
    """A gateway, and as many generators as a test starts, on one broker and one document store."""

    def __init__(self, url: str, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self._url = url
        self._folder = folder
        self._stack = stack
        self.work = FilesystemBlobs(folder / "work")
        self.documents = SqliteDocuments(folder / "generator.sqlite3")
        self.tasks = DocumentProviderTasks(self.documents)
        self._broker = Broker(url, "gateway")
        self.gateway = Gateway(self._broker, self.work)
        self._reader = PictureReader(1)

    async def start(self) -> None:
        self._stack.push_async_callback(self.documents.close)
        self._stack.push_async_callback(self.work.close)
        self._stack.push_async_callback(self._reader.stop)
        await self.tasks.prepare()
        await self._broker.connect()
        self._stack.push_async_callback(self._broker.close)
        await self.gateway.consumer.start()
        self._stack.push_async_callback(partial(self.gateway.consumer.drain, 5))
        port = free_port()
        config = uvicorn.Config(
            self.gateway, port=port, ws="none", lifespan="off", access_log=False, log_config=None, log_level="critical"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        self.gateway.base_url = f"http://127.0.0.1:{port}"

        async def stop() -> None:
            server.should_exit = True
            await serving

        self._stack.push_async_callback(stop)

    async def generator(
        self, provider: TaskProvider, double: ProviderDouble, *, sweeps: bool = True, lease_seconds: float = 90
    ) -> "Generator":
        broker = Broker(self._url, "generator")
        facts = Facts(broker.publisher, source="imagetron/generator", clock=SystemClock())
        rules = DownloadRules((), dangerously_allow_plain_http_on_loopback=(urlsplit(double.base_url).netloc,))
        downloads = GuardedDownloads(rules)

        async def fetch(url: str) -> bytes:
            return (await downloads.fetch(url)).data

        desk = TaskDesk(
            providers={provider.name: provider},
            tasks=self.tasks,
            work=self.work,
            announce=facts.publish,
            fetch=fetch,
            pictures=ReaderPictures(self._reader),
            callback_url=self.gateway.callback_url,
            clock=SystemClock(),
            watch=Watch(time.monotonic),
            owner=f"generator-{uuid.uuid4().hex[:6]}",
            lease_seconds=lease_seconds,
        )
        started = Generator(broker, facts, desk, provider)
        await started.start(sweeps=sweeps)
        self._stack.push_async_callback(started.stop)
        return started

    async def ask(self, provider: str, *, images: int = 2, budget_seconds: float = 60) -> FamilyRequested:
        job = str(uuid.uuid4())
        family = FamilySpec(render=SIZE, seeds=tuple(range(images)), files=(FileSpec(name="square", size=SIZE),))
        spec = RenderSpec(
            job_id=job,
            revision=1,
            prompt="a beach",
            negative_prompt="",
            model="painted",
            served_by="mj-7",
            steps=1,
            guidance_scale=0,
            families={"square": family},
            provider=provider,
        )
        text = spec.model_dump_json().encode()
        await self.work.put_if_absent(spec_key(job, 1), text, content_type="application/json")
        request = FamilyRequested(
            job_id=job,
            revision=1,
            family="square",
            attempt=1,
            lane=Lane.INTERACTIVE,
            spec_key=spec_key(job, 1),
            image_indexes=tuple(range(images)),
            budget_seconds=budget_seconds,
            pool=Pool.EXTERNAL,
        )
        await self.gateway.facts.publish(request)
        return request

    async def ends(self, request: FamilyRequested, count: int = 1) -> list[RendersGenerated | StageFailed]:
        """All that the family came to, once so many ends are there."""
        await eventually(lambda: len(self.gateway.results(request)) >= count, within_seconds=30)
        return self.gateway.results(request)

    async def until(self, request: FamilyRequested, condition: Callable[[list[ProviderTask]], object]) -> None:
        async def holds() -> object:
            return condition(list(await self.tasks.of_job(request.job_id, 1)))

        await eventually(holds, within_seconds=30)


class Generator:
    def __init__(self, broker: Broker, facts: Facts, desk: TaskDesk, provider: TaskProvider) -> None:
        self._broker = broker
        self._provider = provider
        self.desk = desk
        deps = Dependencies(
            facts,
            desk.work,
            InMemoryImageModel(),
            ModelCalls(),
            Slots(1),
            SystemClock(),
            time.monotonic,
            desk,
        )
        wanted = subscriptions(deps, concurrency=1, external_concurrency=4)
        self._consumer = Consumer(broker, facts, wanted)
        self._sweep = Periodic("tasks", 0.1, partial(sweep, provider.name, desk=desk))
        assert {one.queue for one in wanted} == {
            GENERATOR_INTERACTIVE,
            GENERATOR_BATCH,
            GENERATOR_EXTERNAL,
            GENERATOR_CALLBACKS,
        }

    async def start(self, *, sweeps: bool) -> None:
        await self._broker.connect()
        await self._consumer.start()
        if sweeps:
            await self._sweep.start()

    async def stop(self, *, grace_seconds: float = 5) -> None:
        await self._sweep.stop()
        await self._consumer.drain(grace_seconds)
        await self._broker.close()
        await self._provider.close()


@pytest.fixture(scope="module")
def midjourney_server() -> Iterator[MidjourneyDouble]:
    with a_midjourney_double() as double:
        yield double


@pytest.fixture
def midjourney(midjourney_server: MidjourneyDouble) -> MidjourneyDouble:
    midjourney_server.reset()
    return midjourney_server


@pytest.fixture
def polled() -> Iterator[PolledDouble]:
    with a_polled_double() as double:
        yield double


@pytest.fixture
async def world(fresh_broker, tmp_path) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        made = World(fresh_broker.url, tmp_path, stack)
        await made.start()
        yield made


def called_back(double: MidjourneyDouble, *, seconds: float = 2, **rules: object) -> CalledBackProvider:
    """The real adapter, which looks only where a test lets it."""
    verbs = CalledBackProvider(double.base_url, SecretStr(double.api_key)).rules.verbs
    given = replace(CALLED_BACK, **{"verbs": verbs, **rules})  # type: ignore[arg-type]
    return CalledBackProvider(double.base_url, SecretStr(double.api_key), rules=given, seconds=seconds)


async def good(world: World, request: FamilyRequested) -> RendersGenerated:
    (end,) = await world.ends(request)
    assert isinstance(end, RendersGenerated), end
    for image in end.images:
        assert image.digest == digest_of(await world.work.get(image.key))
    return end


async def test_a_family_is_ordered_told_by_callbacks_and_collected(world, midjourney):
    await world.generator(called_back(midjourney), midjourney)

    request = await world.ask("callback")
    told = await good(world, request)

    assert [image.index for image in told.images] == [0, 1]
    assert told.errors == ()
    assert {image.provider for image in told.images} == {"callback"}
    assert len(midjourney.submissions) == 1
    await world.until(request, lambda tasks: [task.state for task in tasks] == [TaskState.COLLECTED])


async def test_a_polled_provider_makes_each_image_in_a_task_of_its_own(world, polled):
    provider = PolledProvider(
        polled.base_url, SecretStr(polled.api_key), rules=TaskRules(first_look_seconds=0.1, longest_pause_seconds=0.2)
    )
    await world.generator(provider, polled)

    request = await world.ask("polled")
    ends = await world.ends(request, 2)

    assert sorted(end.indexes() for end in ends) == [(0,), (1,)]
    assert all(isinstance(end, RendersGenerated) for end in ends)
    assert len(polled.submissions) == 2


async def test_a_provider_that_never_calls_back_is_asked(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER))
    await world.generator(called_back(midjourney, first_look_seconds=0.2, longest_pause_seconds=0.5), midjourney)

    await good(world, await world.ask("callback"))

    assert len(midjourney.submissions) == 1


async def test_a_provider_that_never_finishes_fails_the_family_at_its_deadline(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER, ending=Ending.NEVER))
    await world.generator(called_back(midjourney, first_look_seconds=0.2, longest_pause_seconds=0.5), midjourney)

    (failed,) = await world.ends(await world.ask("callback", budget_seconds=0.5))

    assert isinstance(failed, StageFailed)
    assert (failed.code, failed.image_indexes) == (FailureCode.DEADLINE_EXCEEDED, (0, 1))


@pytest.mark.parametrize("calls", [Calls.FIVEFOLD, Calls.REORDERED, Calls.BEFORE_THE_ANSWER])
async def test_callbacks_five_at_once_the_last_first_or_before_the_answer_have_one_result(world, midjourney, calls):
    midjourney.mood(Mood(calls=calls))
    for _ in range(2):
        await world.generator(called_back(midjourney), midjourney)

    request = await world.ask("callback")
    await good(world, request)

    await world.until(request, lambda tasks: [task.state for task in tasks] == [TaskState.COLLECTED])
    assert len(midjourney.submissions) == 1
    assert len(world.gateway.results(request)) == 1


async def test_a_forged_callback_ends_nothing(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER, step_seconds=600))
    await world.generator(called_back(midjourney), midjourney)
    request = await world.ask("callback")
    await world.until(request, lambda tasks: [task.state for task in tasks] == [TaskState.SUBMITTED])
    (task,) = await world.tasks.of_job(request.job_id, 1)
    assert task.provider_task_id is not None

    forged = midjourney.body_of(task.provider_task_id).replace(b'"pending"', b'"failed"')
    await world.gateway.take_in("callback", task.reference, forged)
    await eventually(lambda: any(asked.path.endswith(f"/{task.provider_task_id}") for asked in midjourney.requests))

    await world.until(request, lambda tasks: [task.lease for task in tasks] == [None])
    (after,) = await world.tasks.of_job(request.job_id, 1)
    assert after.state is TaskState.SUBMITTED
    assert world.gateway.results(request) == []


async def test_a_callback_that_comes_after_the_job_was_cancelled_changes_nothing(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER, step_seconds=600))
    generator = await world.generator(called_back(midjourney), midjourney)
    request = await world.ask("callback")
    await world.until(request, lambda tasks: [task.state for task in tasks] == [TaskState.SUBMITTED])
    (task,) = await world.tasks.of_job(request.job_id, 1)

    await world.work.put_if_absent(cancelled_key(request.job_id, 1), b"", content_type="text/plain")
    await on_job_cancelled(JobCancelled(job_id=request.job_id, revision=1), calls=ModelCalls(), desk=generator.desk)
    await world.until(request, lambda tasks: [task.state for task in tasks] == [TaskState.CANCELLED])
    assert task.provider_task_id is not None
    done = midjourney.body_of(task.provider_task_id).replace(b'"cancelled"', b'"finished"')
    await world.gateway.take_in("callback", task.reference, done, is_signed=True)
    await good(world, await another(world, midjourney))

    (after,) = await world.tasks.of_job(request.job_id, 1)
    assert after.state is TaskState.CANCELLED
    assert world.gateway.results(request) == []


async def another(world: World, midjourney: MidjourneyDouble) -> FamilyRequested:
    """A family behind it in the queues: when it is done, so is what came before."""
    midjourney.mood(Mood())
    return await world.ask("callback")


async def test_a_task_whose_answer_was_lost_is_found_by_its_reference_and_paid_once(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER))
    midjourney.replies(Reply.DROPPED, to="submit")
    rules = {"can_find": True, "first_look_seconds": 0.2, "longest_pause_seconds": 0.5}
    await world.generator(called_back(midjourney, **rules), midjourney)

    await good(world, await world.ask("callback"))

    assert len(midjourney.submissions) == 1


async def test_a_task_whose_answer_was_lost_shows_itself_by_its_callback_and_is_paid_once(world, midjourney):
    midjourney.replies(Reply.DROPPED, to="submit")
    await world.generator(called_back(midjourney, callback_window_seconds=20), midjourney)

    await good(world, await world.ask("callback"))

    assert len(midjourney.submissions) == 1


async def test_a_task_that_is_lost_for_good_is_paid_once_more_and_then_given_up(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER))
    midjourney.replies(Reply.DROPPED, to="submit", times=5)
    await world.generator(called_back(midjourney), midjourney)

    (failed,) = await world.ends(await world.ask("callback"))

    assert isinstance(failed, StageFailed)
    assert failed.code is FailureCode.WORK_LOST
    assert len(midjourney.submissions) == 2


async def test_a_generator_that_ends_in_the_submission_is_followed_by_one_that_finds_the_task(world, midjourney):
    midjourney.mood(Mood(calls=Calls.NEVER))
    midjourney.replies(Reply.HANGS, to="submit")
    rules = {"can_find": True, "first_look_seconds": 0.2, "longest_pause_seconds": 0.5}
    patient = called_back(midjourney, seconds=60, **rules)
    doomed = await world.generator(patient, midjourney, sweeps=False, lease_seconds=1)
    request = await world.ask("callback")
    await eventually(lambda: midjourney.submissions, within_seconds=20)
    await doomed.stop(grace_seconds=0.1)
    # What it began is still claimed, and the message is back in its queue.
    (task,) = await world.tasks.of_job(request.job_id, 1)
    assert (task.submissions, task.lease is None, task.provider_task_id) == (1, False, None)

    await world.generator(called_back(midjourney, **rules), midjourney, lease_seconds=1)
    await good(world, request)

    assert len(midjourney.submissions) == 1


async def test_one_bad_picture_of_a_task_sinks_no_other(world, midjourney):
    midjourney.mood(Mood(pictures=Pictures.ONE_BOMB))
    await world.generator(called_back(midjourney), midjourney)

    told = await good(world, await world.ask("callback", images=3))

    assert [image.index for image in told.images] == [0, 2]
    assert [error.index for error in told.errors] == [1]


async def test_the_same_request_again_is_answered_again_and_not_ordered_again(world, midjourney):
    await world.generator(called_back(midjourney), midjourney)
    request = await world.ask("callback")
    first = await good(world, request)
    await world.until(request, lambda tasks: [task.state for task in tasks] == [TaskState.COLLECTED])

    await world.gateway.facts.publish(request)
    await eventually(lambda: len([one for one in world.gateway.heard if one == first]) == 2)

    assert len(midjourney.submissions) == 1
