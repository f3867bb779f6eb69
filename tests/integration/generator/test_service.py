"""The whole service over a real broker; the model and the store are twins."""

import contextlib
import uuid
from collections.abc import AsyncIterator

import aio_pika
import httpx
import pytest
from pydantic import SecretStr

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.lifecycle import Service
from imagetron_contracts import topology
from imagetron_contracts.envelope import Envelope, decode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Message
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, spec_key
from imagetron_contracts.stages import FamilyRequested, JobCancelled, Lane, ModelHealth, Progress
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.bootstrap import build
from imagetron_generator.ports import ModelRefused
from imagetron_generator.settings import Settings
from support.eventually import eventually
from support.ports import free_port

SIZE = Dimensions(width=8, height=8)


class Neighbours:
    """Everybody else on the broker: asks for families, hears the hints, looks into the queues."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.broker = Broker(url, "neighbours")
        self.facts = Facts(self.broker.publisher, source="imagetron/gateway", clock=SystemClock())
        self.hints: list[Message] = []
        self.work = InMemoryBlobs()
        self.model = InMemoryImageModel()
        self.probes_port = free_port()

    async def start(self) -> None:
        await self.broker.connect()
        self._connection = await aio_pika.connect(self._url)
        self._channel = await self._connection.channel()
        for queue in topology.QUEUES:
            await (await self._channel.get_queue(queue.name)).purge()
        heard = await self._channel.declare_queue(exclusive=True)
        await heard.bind(topology.Exchange.HINTS.value, "#")
        await heard.consume(self._hear, no_ack=True)

    async def stop(self) -> None:
        await self._connection.close()
        await self.broker.close()

    async def _hear(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        self.hints.append(decode(message.body).data)

    def service(self, **changes: object) -> Service:
        values = {
            "amqp_url": SecretStr(self._url),
            "probes_port": self.probes_port,
            "max_concurrent_jobs": 1,
            "shutdown_grace_seconds": 0.2,
            "health_models": ("watched",),
        }
        return build(Settings.model_validate({**values, **changes}), model=self.model, work=self.work)

    async def ask(self, lane: Lane = Lane.INTERACTIVE) -> FamilyRequested:
        job = str(uuid.uuid4())
        family = FamilySpec(render=SIZE, seeds=(1, 2), files=(FileSpec(name="square", size=SIZE),))
        spec = RenderSpec(
            job_id=job,
            revision=1,
            prompt="a beach",
            negative_prompt="",
            model="preview",
            served_by="preview",
            steps=2,
            guidance_scale=7,
            families={"square": family},
        )
        await self.work.put_if_absent(
            spec_key(job, 1), spec.model_dump_json().encode(), content_type="application/json"
        )
        request = FamilyRequested(
            job_id=job,
            revision=1,
            family="square",
            attempt=1,
            lane=lane,
            spec_key=spec_key(job, 1),
            image_indexes=(0, 1),
            budget_seconds=60,
        )
        await self.facts.publish(request)
        return request

    async def next_in(self, queue: topology.Queue) -> Envelope:
        """The next message of a queue, taken out."""
        source = await self._channel.get_queue(queue.name)

        async def taken() -> aio_pika.abc.AbstractIncomingMessage | None:
            return await source.get(fail=False, no_ack=True)

        return decode((await eventually(taken)).body)

    async def depth(self, queue: topology.Queue) -> int:
        declared = await self._channel.declare_queue(queue.name, passive=True)
        return declared.declaration_result.message_count or 0

    def renders_asked_of_the_model(self) -> int:
        return sum(request.model == "preview" for request in self.model.requests)


@pytest.fixture
async def neighbours(rabbitmq) -> AsyncIterator[Neighbours]:
    others = Neighbours(rabbitmq.url)
    await others.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(others.stop)
        yield others


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_requested_family_is_started_and_rendered_and_leads_back_to_its_request(neighbours, lane):
    async with neighbours.service().running():
        request = await neighbours.ask(lane)

        started = await neighbours.next_in(topology.GATEWAY_STARTED)
        rendered = await neighbours.next_in(topology.DERIVER_RENDERS)

    assert started.data.job_id == rendered.data.job_id == request.job_id
    assert started.causationid == rendered.causationid == request.message_id()
    assert [image.index for image in rendered.data.images] == [0, 1]
    assert any(isinstance(hint, Progress) and hint.job_id == request.job_id for hint in neighbours.hints)


async def test_the_owner_hears_when_the_model_refuses_every_image(neighbours):
    neighbours.model = InMemoryImageModel(ModelRefused("no"), ModelRefused("no"), ModelRefused("no"))

    async with neighbours.service().running():
        request = await neighbours.ask()

        failed = await neighbours.next_in(topology.GATEWAY_FAILED)

    assert (failed.data.job_id, failed.data.code, failed.data.image_indexes) == (
        request.job_id,
        "model_refused",
        (0, 1),
    )


async def test_a_cancelled_job_frees_the_model_and_leaves_nothing_behind(neighbours):
    neighbours.model.hold()
    async with neighbours.service(health_interval_seconds=600).running():
        request = await neighbours.ask()
        await eventually(neighbours.renders_asked_of_the_model)

        await neighbours.facts.publish(JobCancelled(job_id=request.job_id, revision=1))

        await eventually(lambda: neighbours.model.cancelled)

    assert await neighbours.depth(topology.GENERATOR_INTERACTIVE) == 0
    assert await neighbours.depth(topology.GATEWAY_RENDERS) == 0


async def test_a_stopping_service_gives_back_what_works_and_what_waits_without_counting_a_try(neighbours):
    neighbours.model.hold()
    async with neighbours.service().running():
        await neighbours.ask(Lane.INTERACTIVE)
        await eventually(neighbours.renders_asked_of_the_model)
        await neighbours.ask(Lane.BATCH)

    for queue in (topology.GENERATOR_INTERACTIVE, topology.GENERATOR_BATCH):
        assert (await neighbours.next_in(queue)).try_count == 1
    assert neighbours.renders_asked_of_the_model() == 1


async def test_the_models_health_is_told_as_soon_as_the_service_runs(neighbours):
    async with neighbours.service().running():
        await eventually(lambda: [hint for hint in neighbours.hints if isinstance(hint, ModelHealth)], within_seconds=5)

    (report, *_) = [hint for hint in neighbours.hints if isinstance(hint, ModelHealth)]
    assert (report.model, report.is_available) == ("watched", True)


async def test_the_service_is_ready_whatever_its_model_does(neighbours):
    neighbours.model.hold()
    async with neighbours.service().running(), httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{neighbours.probes_port}/readyz")

    assert answer.json() == {"ready": True, "checks": {"broker": "ok", "work store": "ok"}}
