"""A real Triton whose models misbehave on demand, and whoever asks a generator for pictures of theirs."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aio_pika
import pytest

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_contracts import topology
from imagetron_contracts.envelope import Envelope, decode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, spec_key
from imagetron_contracts.stages import FamilyRequested, Lane, RendersGenerated, StageFailed
from imagetron_generator.adapters.triton import TritonImageModel
from imagetron_generator.domain.renders import RenderRequest
from imagetron_generator.ports import ModelUnavailable
from support import triton as server
from support.eventually import eventually

UNRULY: Final = "unruly"
"""Takes as much as it gets."""
NARROW: Final = "narrow"
"""One picture in work, one in the queue; the next is refused."""
_MODELS: Final = {UNRULY: 64, NARROW: 1}
_SOURCE: Final = Path(__file__).parent / "unruly_model"
SIZE: Final = Dimensions(width=64, height=64)
FAMILY: Final = "square"


@dataclass
class UnrulyTriton:
    """`address` is the gRPC endpoint's."""

    running: server.RunningTriton
    folder: Path

    @property
    def address(self) -> str:
        return self.running.address

    def hang(self) -> None:
        """Calls from now on, and those in the queue, never end: until `recover`."""
        (self.folder / "mood").write_text("hang")

    def recover(self) -> None:
        (self.folder / "mood").unlink(missing_ok=True)

    def forget(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def calls(self, job: str) -> list[int]:
        """The seeds of all calls for the job's pictures that reached the model, in order."""
        return [call["seed"] for call in self._calls() if job in call["prompt"]]

    def inputs(self) -> list[dict[str, Any]]:
        """Prompt, negative prompt and seed of all calls that reached the model, health inferences left out, in order."""
        return [call for call in self._calls() if "grey square" not in call["prompt"]]

    def canaries(self) -> int:
        return sum("grey square" in call["prompt"] for call in self._calls())

    def says_that_it_is_ready(self) -> bool:
        ready = f"http://127.0.0.1:{self.running.ports.http}/v2/models/{UNRULY}/ready"
        with urllib.request.urlopen(ready, timeout=5) as answer:
            return bool(answer.status == 200)

    def _calls(self) -> list[dict[str, Any]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _repository(folder: Path) -> Path:
    for name, queue in _MODELS.items():
        shutil.copytree(_SOURCE, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        config = folder / name / "config.pbtxt"
        config.write_text(config.read_text().replace('"NAME"', f'"{name}"').replace(": QUEUE", f": {queue}"))
    return folder


async def _until_it_paints(address: str) -> None:
    model = TritonImageModel(address)
    request = RenderRequest(model=NARROW, prompt="p", negative_prompt="", seed=0, size=SIZE, steps=1, guidance_scale=0)

    async def paints() -> bool:
        try:
            await model.render(request, lambda _step, _steps: None, deadline_seconds=5)
        except ModelUnavailable:
            return False
        return True

    await eventually(paints, within_seconds=60, every_seconds=0.1)
    await model.close()


@pytest.fixture(scope="session")
def unruly_session() -> Iterator[UnrulyTriton]:
    folder = Path(tempfile.mkdtemp(prefix="imagetron-unruly-"))
    running = server.start(folder, _repository(folder / "source"), tuple(_MODELS))
    try:
        asyncio.run(_until_it_paints(running.address))
        yield UnrulyTriton(running, folder)
    finally:
        (folder / "mood").unlink(missing_ok=True)
        server.stop(running)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def unruly(unruly_session: UnrulyTriton) -> Iterator[UnrulyTriton]:
    """Well at first, and well again after. Nothing has been asked of it yet."""
    unruly_session.recover()
    unruly_session.forget()
    yield unruly_session
    unruly_session.recover()


@dataclass
class Client:
    """Asks for families as the gateway does, without one, and collects what becomes of them."""

    url: str
    work: Blobs
    broker: Broker
    channel: aio_pika.abc.AbstractChannel
    put_off: list[Envelope] = field(default_factory=list)
    """Every message that was sent back through a delay, in order."""

    async def ask(
        self,
        *,
        model: str = UNRULY,
        images: int = 1,
        budget_seconds: float = 60,
        words: str = "",
        lane: Lane = Lane.BATCH,
    ) -> FamilyRequested:
        job = str(uuid.uuid4())
        family = FamilySpec(render=SIZE, seeds=tuple(range(1, images + 1)), files=(FileSpec(name=FAMILY, size=SIZE),))
        spec = RenderSpec(
            job_id=job,
            revision=1,
            prompt=f"{words} {job}",
            negative_prompt="",
            model=model,
            served_by=model,
            steps=1,
            guidance_scale=7,
            families={FAMILY: family},
        )
        await self.work.put_if_absent(
            spec_key(job, 1), spec.model_dump_json().encode(), content_type="application/json"
        )
        request = FamilyRequested(
            job_id=job,
            revision=1,
            family=FAMILY,
            attempt=1,
            lane=lane,
            spec_key=spec_key(job, 1),
            image_indexes=tuple(range(images)),
            budget_seconds=budget_seconds,
        )
        facts = Facts(self.broker.publisher, source="imagetron/gateway", clock=SystemClock())
        await facts.publish(request)
        return request

    async def waiting(self) -> int:
        """How many requests lie in the queues, those in hand or put off not counted."""
        queues = (topology.GENERATOR_INTERACTIVE, topology.GENERATOR_BATCH)
        declared = [await self.channel.declare_queue(queue.name, passive=True) for queue in queues]
        return sum(queue.declaration_result.message_count or 0 for queue in declared)

    async def nobody_listens(self) -> bool:
        """Whether the generator has cancelled its consumers, as it does a moment after its circuit opened."""
        queues = (topology.GENERATOR_INTERACTIVE, topology.GENERATOR_BATCH)
        declared = [await self.channel.declare_queue(queue.name, passive=True) for queue in queues]
        return not any(queue.declaration_result.consumer_count for queue in declared)

    async def nothing_waits(self) -> bool:
        return await self.waiting() == 0

    async def results(self, jobs: Sequence[FamilyRequested], *, within_seconds: float) -> dict[str, RendersGenerated]:
        """The result of every one of these jobs."""
        wanted = {job.job_id for job in jobs}
        found: dict[str, RendersGenerated] = {}

        async def all_are_there() -> bool:
            async for envelope in self._taken(topology.GATEWAY_RENDERS):
                assert isinstance(envelope.data, RendersGenerated)
                found[envelope.data.job_id] = envelope.data
            return wanted <= found.keys()

        await eventually(all_are_there, within_seconds=within_seconds, every_seconds=0.1)
        return {job: found[job] for job in wanted}

    async def failures(self) -> list[StageFailed]:
        """Those that were told since this was asked last."""
        taken = [envelope.data async for envelope in self._taken(topology.GATEWAY_FAILED)]
        return [data for data in taken if isinstance(data, StageFailed)]

    async def _taken(self, queue: topology.Queue) -> AsyncIterator[Envelope]:
        source = await self.channel.get_queue(queue.name, ensure=False)
        while (message := await source.get(fail=False, no_ack=True)) is not None:
            yield decode(message.body)

    async def hear_delays(self) -> None:
        heard = await self.channel.declare_queue(exclusive=True)
        for seconds in topology.RETRY_DELAYS_SECONDS:
            await heard.bind(topology.delay_queue(seconds))

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            self.put_off.append(decode(message.body))

        await heard.consume(keep, no_ack=True)


@contextlib.asynccontextmanager
async def a_client(url: str, work: Blobs) -> AsyncIterator[Client]:
    broker = Broker(url, "client")
    await broker.connect()
    connection = await aio_pika.connect(url)
    try:
        client = Client(url, work, broker, await connection.channel())
        await client.hear_delays()
        yield client
    finally:
        await connection.close()
        await broker.close()
