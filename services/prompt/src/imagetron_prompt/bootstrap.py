"""Wires the prompt service: the only place that names concrete classes."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.health import Health, HttpServer, probes_application
from imagetron_chassis.lifecycle import Part, Service
from imagetron_chassis.rpc import RpcServer
from imagetron_prompt.adapters.calls import DocumentCalls
from imagetron_prompt.adapters.offline import OfflineWriter
from imagetron_prompt.adapters.openai_writer import OpenAIWriter, Prices
from imagetron_prompt.adapters.prompts import DocumentPrompts
from imagetron_prompt.adapters.turns import DocumentTurns
from imagetron_prompt.handlers import Desk, serve_requests
from imagetron_prompt.settings import EnhanceFallback, Settings

PROBES_PORT: Final = 8016


def build(settings: Settings) -> Service:
    """The service: requests in, answers out; prompts, chats and the ledger of paid calls are kept."""
    broker = Broker(settings.amqp_url.get_secret_value(), "prompt")
    clock = SystemClock()
    server = RpcServer(broker, Facts(broker.publisher, source="imagetron/prompt", clock=clock))
    documents = _documents(settings.documents_url.get_secret_value())
    prompts, turns, calls = DocumentPrompts(documents), DocumentTurns(documents), DocumentCalls(documents)
    writer = _writer(settings)
    desk = Desk(
        writer=writer,
        stand_in=OfflineWriter() if settings.enhance_fallback is EnhanceFallback.OFFLINE else None,
        prompts=prompts,
        turns=turns,
        calls=calls,
        clock=clock,
        statuses=settings.statuses,
        service_version=version("imagetron-prompt"),
        model=settings.model if settings.openai_api_key else None,
    )
    serve_requests(server, desk)
    health = Health({"broker": broker.consumers_exist, "documents": documents.ping})
    probes = HttpServer(probes_application(health), host=settings.probes_host, port=settings.probes_port or PROBES_PORT)

    async def prepare() -> None:
        for collection in (prompts, turns, calls):
            await collection.prepare()

    return Service(
        "prompt",
        health,
        [
            Part("probes", probes.start, probes.stop),
            Part("documents", prepare, documents.close),
            Part("writer", _at_first_use, writer.close),
            Part("broker", broker.connect, broker.close),
            Part("requests", server.start, partial(server.drain, settings.shutdown_grace_seconds)),
        ],
    )


def _writer(settings: Settings) -> OpenAIWriter | OfflineWriter:
    """With a key the language model alone: a template that answered in its place unasked would be a lie."""
    if settings.openai_api_key is None:
        return OfflineWriter()
    return OpenAIWriter(settings.openai_base_url, settings.openai_api_key, settings.model, _prices(settings))


def _prices(settings: Settings) -> Prices | None:
    if settings.price_input is None or settings.price_output is None:
        return None
    return Prices(settings.price_input, settings.price_output)


def _documents(url: str) -> Documents:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return SqliteDocuments(Path(parts.path))
    return MongoDocuments(url, parts.path.strip("/") or "imagetron")


async def _at_first_use() -> None:
    """Nothing to start: it works when it is first asked."""
