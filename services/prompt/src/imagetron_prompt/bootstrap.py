"""Wires the prompt service: the only place that names concrete classes."""

from importlib.metadata import version
from typing import Final

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.lifecycle import Part, Service
from imagetron_prompt.handlers import serve_requests
from imagetron_prompt.settings import Settings

PROBES_PORT: Final = 8016


def build(settings: Settings) -> Service:
    """The service: requests in, answers out, nothing kept."""
    broker = Broker(settings.amqp_url.get_secret_value(), "prompt")
    facts = Facts(broker.publisher, source="imagetron/prompt", clock=SystemClock())
    serve_requests(broker, facts, service_version=version("imagetron-prompt"))
    health = Health({"broker": broker.consumers_exist})
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port or PROBES_PORT)
    return Service(
        "prompt",
        health,
        [
            Part("probes", probes.start, probes.stop),
            Part("broker", broker.connect, broker.close),
            Part("requests", broker.consuming.start, broker.consuming.stop),
        ],
    )
