"""Wires the generator: the only place that names concrete classes. What serves outside providers alone is outside.py's."""

import asyncio
import os
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, cast

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.breaker import DEFAULT_RULES, BreakerRules
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, Subscription
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.hints import listen
from imagetron_chassis.lifecycle import Part, Service
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_chassis.stores import work_store
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.message import Message
from imagetron_contracts.spec import TRITON
from imagetron_contracts.stages import FamilyRequested, JobCancelled
from imagetron_contracts.topology import GENERATOR_BATCH, GENERATOR_INTERACTIVE, HINTS_JOB_CANCELLED
from imagetron_generator.adapters.pictures import ReaderPictures
from imagetron_generator.adapters.triton import TritonImageModel
from imagetron_generator.adapters.upscaling import LanczosUpscaler, UpscalerOrLanczos
from imagetron_generator.bootstrap.outside import outside_providers
from imagetron_generator.handlers import Dependencies, on_job_cancelled, subscriptions
from imagetron_generator.ports import ImageModel
from imagetron_generator.settings import Settings
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.choosing import DirectModels
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.guarded_model import GuardedModel
from imagetron_generator.usecases.model_watch import ModelWatch
from imagetron_generator.usecases.own_model import OwnModel
from imagetron_generator.usecases.pausing import check_may_begin
from imagetron_generator.usecases.pulse import Pulse
from imagetron_generator.usecases.slots import Slots
from imagetron_generator.usecases.sourced_model import SourcedModel

PROBES_PORT: Final = 8017
# One source is read while another is: each takes a process of up to a gibibyte.
_READERS: Final = 2
_OWN_QUEUES: Final = (GENERATOR_INTERACTIVE, GENERATOR_BATCH)


def build(
    settings: Settings,
    *,
    model: ImageModel | None = None,
    work: Blobs | None = None,
    breaker: BreakerRules = DEFAULT_RULES,
) -> Service:
    """The service on Triton, the configured outside providers and the configured store; or on the model and store given."""
    clock, timer = SystemClock(), time.monotonic
    reporter = f"{socket.gethostname()}-{os.getpid()}"
    work = work or work_store(settings)
    url = settings.amqp_url.get_secret_value()
    broker = Broker(url, "generator")
    facts = Facts(broker.publisher, source="imagetron/generator", clock=clock)
    calls, slots = ModelCalls(), Slots(settings.max_concurrent_jobs)
    reader = PictureReader(_READERS)
    pictures = ReaderPictures(reader)
    lanczos = LanczosUpscaler(pictures)
    pulse = Pulse(UpscalerOrLanczos(model or TritonImageModel(settings.triton_url), lanczos), timer)
    outside = outside_providers(settings, work=work, pictures=pictures, facts=facts, reporter=reporter)

    def pause() -> None:
        # With a stand-in at hand, families that allow it go on: the gate sends the others back.
        if not outside.models:
            slots.pause()
            consumer.pause()
        model_health.kick()  # Tells the gateway, and learns when the canary is due.

    def resume() -> None:
        slots.resume()
        consumer.resume()

    circuit = Circuit(timer, chance=random.random, opened=pause, closed=resume, rules=breaker)
    own = OwnModel(GuardedModel(pulse, circuit, slots, timer), slots, timer)
    models = SourcedModel(DirectModels({TRITON: own, **outside.models}, enlarger=lanczos), work, pictures)
    wanted = subscriptions(
        Dependencies(facts, work, models, calls, slots, clock, timer, outside.desk),
        concurrency=settings.max_concurrent_jobs,
        external_concurrency=outside.concurrency,
    )
    consumer = Consumer(
        broker,
        facts,
        [_gated(each, work, circuit) if outside.models else each for each in wanted if each.queue in _OWN_QUEUES],
    )
    outside.consume(url, facts, [each for each in wanted if each.queue not in _OWN_QUEUES])
    listen(broker, HINTS_JOB_CANCELLED, JobCancelled, partial(on_job_cancelled, calls=calls, desk=outside.desk))
    health = Health({"broker": broker.consumers_exist, "work store": work.ping, **outside.checks})
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port or PROBES_PORT)
    watch = ModelWatch(
        settings.health_models,
        reporter=reporter,
        pulse=pulse,
        circuit=circuit,
        announce=facts.publish,
        clock=clock,
        timer=timer,
        deadline_seconds=settings.health_deadline_seconds,
    )

    async def check_models() -> None:
        if (wanted_in := await watch.round()) is not None:
            asyncio.get_running_loop().call_later(wanted_in, model_health.kick)

    model_health = Periodic("model health", settings.health_interval_seconds, check_models)

    async def consume() -> None:
        for each in (consumer, *outside.consumers):
            await each.start()

    async def drain() -> None:
        grace = settings.shutdown_grace_seconds
        draining = [asyncio.create_task(each.drain(grace)) for each in (consumer, *outside.consumers)]
        # After the first step of the drains: families that wait for a slot go back at once, not after the grace.
        await asyncio.sleep(0)
        slots.close()
        await asyncio.gather(*draining)

    return Service(
        "generator",
        health,
        [
            Part("probes", probes.start, probes.stop),
            Part("work store", _at_first_use, work.close),
            Part("pictures", _at_first_use, reader.stop),
            Part("models", _at_first_use, models.close),
            Part("broker", broker.connect, broker.close),
            *outside.parts,
            Part("consumers", consume, drain),
            Part("model health", model_health.start, model_health.stop),
        ],
    )


def _gated(subscription: Subscription, work: Blobs, circuit: Circuit) -> Subscription:
    async def handle(envelope: Envelope) -> Sequence[Message]:
        await check_may_begin(cast("FamilyRequested", envelope.data), work=work, circuit=circuit)
        return await subscription.handle(envelope)

    return replace(subscription, handle=handle)


async def _at_first_use() -> None:
    """Nothing to start: it connects when it is first asked."""
