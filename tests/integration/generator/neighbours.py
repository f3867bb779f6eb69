"""Everybody else on the broker, for tests of the whole service."""

import contextlib
import uuid
from collections.abc import AsyncIterator

import aio_pika
import pytest
from pydantic import SecretStr

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.breaker import DEFAULT_RULES
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.lifecycle import Service
from imagetron_contracts import topology
from imagetron_contracts.envelope import Envelope, decode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Message
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, spec_key
from imagetron_contracts.stages import FamilyRequested, Lane, Pool
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.bootstrap import build
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
        self.breaker = DEFAULT_RULES

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
        return build(
            Settings.model_validate({**values, **changes}), model=self.model, work=self.work, breaker=self.breaker
        )

    async def ask(
        self,
        lane: Lane = Lane.INTERACTIVE,
        *,
        pool: Pool | None = None,
        size: Dimensions = SIZE,
        budget_seconds: float = 60,
        **changes: object,
    ) -> FamilyRequested:
        """A family of two images. `changes` are fields of its spec."""
        job = str(uuid.uuid4())
        family = FamilySpec(render=size, seeds=(1, 2), files=(FileSpec(name="square", size=size),))
        values = {
            "job_id": job,
            "revision": 1,
            "prompt": "a beach",
            "negative_prompt": "",
            "model": "preview",
            "served_by": "preview",
            "steps": 2,
            "guidance_scale": 7,
            "families": {"square": family},
        }
        spec = RenderSpec.model_validate({**values, **changes})
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
            budget_seconds=budget_seconds,
            pool=pool,
        )
        await self.facts.publish(request)
        return request

    async def next_in(self, queue: topology.Queue, *, within_seconds: float = 10) -> Envelope:
        """The next message of a queue, taken out."""
        source = await self._channel.get_queue(queue.name)

        async def taken() -> aio_pika.abc.AbstractIncomingMessage | None:
            return await source.get(fail=False, no_ack=True)

        return decode((await eventually(taken, within_seconds=within_seconds)).body)

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
