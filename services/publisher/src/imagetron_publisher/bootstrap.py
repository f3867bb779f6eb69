"""The only place that names the publisher's concrete classes."""

import asyncio
from typing import Final

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.lifecycle import Part, Service
from imagetron_chassis.stores import public_store, work_store
from imagetron_publisher.adapters.unsigned import Unsigned
from imagetron_publisher.handlers import Dependencies, subscriptions
from imagetron_publisher.ports import Signer
from imagetron_publisher.settings import Settings

NAME: Final = "publisher"
PROBES_PORT: Final = 8019
# Bounds the pictures in memory: eight of a few megabytes fit the smallest pod.
COPIES_AT_ONCE: Final = 8


def build(
    settings: Settings, *, work: Blobs | None = None, public: Blobs | None = None, signer: Signer | None = None
) -> Service:
    """The service on the configured stores, or on those that are given. Nothing is signed unless a signer is given."""
    work = work or work_store(settings)
    public = public or public_store(settings)
    broker = Broker(settings.amqp_url.get_secret_value(), NAME)
    facts = Facts(broker.publisher, source=f"imagetron/{NAME}", clock=SystemClock())
    deps = Dependencies(work=work, public=public, signer=signer or Unsigned(), copies=asyncio.Semaphore(COPIES_AT_ONCE))
    consumer = Consumer(broker, facts, subscriptions(deps))
    health = Health({"broker": broker.consumers_exist, "work store": work.ping, "public store": public.ping})
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port or PROBES_PORT)
    return Service(
        name=NAME,
        health=health,
        parts=(
            Part("probes", probes.start, probes.stop),
            Part("work store", _at_first_use, work.close),
            Part("public store", _at_first_use, public.close),
            Part("broker", broker.connect, broker.close),
            Part("consumer", consumer.start, lambda: consumer.drain(settings.shutdown_grace_seconds)),
        ),
    )


async def _at_first_use() -> None:
    """Nothing to start: it connects when it is first asked."""
