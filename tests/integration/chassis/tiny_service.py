"""A service as small as one can be, run as a process: it takes the deriver's work and says published."""

import asyncio
import os
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, Subscription
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.lifecycle import Part, Service, run
from imagetron_chassis.logs import log
from imagetron_chassis.settings import BaseServiceSettings
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.message import Message
from imagetron_contracts.stages import FamilyMessage, FamilyPublished
from imagetron_contracts.topology import DERIVER_RENDERS


class Settings(BaseServiceSettings):
    PREFIX: ClassVar[str] = "TINY_"
    USES_OBJECTS: ClassVar[bool] = False

    work_seconds: float = Field(default=0, ge=0, description="How long one message takes.")
    dies_of: int = Field(default=0, ge=0, description="The attempt whose message ends the process without a word.")


def build(settings: Settings) -> Service:
    broker = Broker(settings.amqp_url.get_secret_value(), "tiny")
    facts = Facts(broker.publisher, source="imagetron/tiny", clock=SystemClock())

    async def handle(envelope: Envelope) -> Sequence[Message]:
        assert isinstance(envelope.data, FamilyMessage)
        number = envelope.data.attempt
        log().info("work_begun", number=number)
        if number == settings.dies_of:
            os._exit(9)
        await asyncio.sleep(settings.work_seconds)
        return [FamilyPublished(job_id=envelope.data.job_id, revision=1, family="square", attempt=number, images=())]

    consumer = Consumer(broker, facts, [Subscription(DERIVER_RENDERS, handle)])
    health = Health({"broker": broker.consumers_exist})
    assert settings.probes_port
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port)
    parts = (
        Part("probes", probes.start, probes.stop),
        Part("broker", broker.connect, broker.close),
        Part("consumer", consumer.start, lambda: consumer.drain(settings.shutdown_grace_seconds)),
    )
    return Service("tiny", health, parts)


if __name__ == "__main__":
    run("tiny", Settings, build)
