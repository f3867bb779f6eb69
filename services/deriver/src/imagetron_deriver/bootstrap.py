"""The only place that names the deriver's concrete classes."""

from typing import Final

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.lifecycle import Part, Service
from imagetron_chassis.stores import work_store
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.handlers import Dependencies, subscriptions
from imagetron_deriver.settings import Settings

NAME: Final = "deriver"
PROBES_PORT: Final = 8018


def build(settings: Settings, *, work: Blobs | None = None) -> Service:
    """The service on the configured store, or on the one that is given."""
    work = work or work_store(settings)
    cutter = PillowProcesses(settings.processes)
    broker = Broker(settings.amqp_url.get_secret_value(), NAME)
    facts = Facts(broker.publisher, source=f"imagetron/{NAME}", clock=SystemClock())
    deps = Dependencies(work=work, cutter=cutter, processes=settings.processes)
    consumer = Consumer(broker, facts, subscriptions(deps))
    health = Health({"broker": broker.consumers_exist, "work store": work.ping})
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port or PROBES_PORT)
    return Service(
        name=NAME,
        health=health,
        parts=(
            Part("probes", probes.start, probes.stop),
            Part("work store", _at_first_use, work.close),
            Part("cutter", cutter.start, cutter.stop),
            Part("broker", broker.connect, broker.close),
            Part("consumer", consumer.start, lambda: consumer.drain(settings.shutdown_grace_seconds)),
        ),
    )


async def _at_first_use() -> None:
    """Nothing to start: it connects when it is first asked."""
