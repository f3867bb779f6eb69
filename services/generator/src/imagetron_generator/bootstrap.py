"""Wires the generator: the only place that names concrete classes."""

import asyncio
import os
import random
import socket
import time
from functools import partial
from typing import Final

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.breaker import DEFAULT_RULES, BreakerRules
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.hints import listen
from imagetron_chassis.lifecycle import Part, Service
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.stores import work_store
from imagetron_contracts.stages import JobCancelled
from imagetron_contracts.topology import HINTS_JOB_CANCELLED
from imagetron_generator.adapters.triton import TritonImageModel
from imagetron_generator.handlers import Dependencies, on_job_cancelled, subscriptions
from imagetron_generator.ports import ImageModel
from imagetron_generator.settings import Settings
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.guarded_model import GuardedModel
from imagetron_generator.usecases.model_watch import ModelWatch
from imagetron_generator.usecases.pulse import Pulse
from imagetron_generator.usecases.slots import Slots

PROBES_PORT: Final = 8017


def build(
    settings: Settings,
    *,
    model: ImageModel | None = None,
    work: Blobs | None = None,
    breaker: BreakerRules = DEFAULT_RULES,
) -> Service:
    """The service on Triton and the configured store, or on those that are given."""
    clock = SystemClock()
    pulse = Pulse(model or TritonImageModel(settings.triton_url), time.monotonic)
    work = work or work_store(settings)
    broker = Broker(settings.amqp_url.get_secret_value(), "generator")
    facts = Facts(broker.publisher, source="imagetron/generator", clock=clock)
    calls, slots = ModelCalls(), Slots(settings.max_concurrent_jobs)

    def pause() -> None:
        slots.pause()
        consumer.pause()
        model_health.kick()  # Tells the gateway, and learns when the canary is due.

    def resume() -> None:
        slots.resume()
        consumer.resume()

    circuit = Circuit(time.monotonic, chance=random.random, opened=pause, closed=resume, rules=breaker)
    guarded = GuardedModel(pulse, circuit, slots, time.monotonic)
    deps = Dependencies(facts, work, guarded, calls, slots, clock, time.monotonic)
    consumer = Consumer(broker, facts, subscriptions(deps, concurrency=settings.max_concurrent_jobs))
    listen(broker, HINTS_JOB_CANCELLED, JobCancelled, partial(on_job_cancelled, calls=calls))
    health = Health({"broker": broker.consumers_exist, "work store": work.ping})
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port or PROBES_PORT)
    watch = ModelWatch(
        settings.health_models,
        reporter=f"{socket.gethostname()}-{os.getpid()}",
        pulse=pulse,
        circuit=circuit,
        announce=facts.publish,
        clock=clock,
        timer=time.monotonic,
        deadline_seconds=settings.health_deadline_seconds,
    )

    async def check_models() -> None:
        if (wanted_in := await watch.round()) is not None:
            asyncio.get_running_loop().call_later(wanted_in, model_health.kick)

    model_health = Periodic("model health", settings.health_interval_seconds, check_models)

    async def drain() -> None:
        draining = asyncio.create_task(consumer.drain(settings.shutdown_grace_seconds))
        # After the first step of the drain: families that wait for a slot go back at once, not after the grace.
        await asyncio.sleep(0)
        slots.close()
        await draining

    return Service(
        "generator",
        health,
        [
            Part("probes", probes.start, probes.stop),
            Part("work store", _at_first_use, work.close),
            Part("model", _at_first_use, pulse.close),
            Part("broker", broker.connect, broker.close),
            Part("consumer", consumer.start, drain),
            Part("model health", model_health.start, model_health.stop),
        ],
    )


async def _at_first_use() -> None:
    """Nothing to start: it connects when it is first asked."""
