"""Wires the gateway: the only place that names concrete classes."""

import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import Clock, SystemClock
from imagetron_chassis.delivery import Consumer, Facts
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.health import Health, HttpServer
from imagetron_chassis.lifecycle import Part, Service
from imagetron_chassis.outbox import SWEEP_EVERY, Relay
from imagetron_chassis.periodic import Periodic, for_each
from imagetron_chassis.principals import LOCAL, Principal
from imagetron_chassis.stores import public_store, work_store
from imagetron_contracts.ids import new_job_id
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.catalogue import BUILT_IN, load_catalogue
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.adapters.reports import RecentReports
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.api.application import create_application
from imagetron_gateway.api.models import ModelDesk
from imagetron_gateway.api.pictures import PicturesDesk
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.variations import VariationsDesk
from imagetron_gateway.handlers import SagaDesk, listen_to_hints, subscriptions
from imagetron_gateway.ports import Jobs, Outbox, Specs
from imagetron_gateway.settings import Settings
from imagetron_gateway.usecases import SOURCE, admit_waiting, check_due

# The net under the kicks: a kick lost with its process costs at most this long.
_ADMISSION_EVERY_SECONDS = 5.0


def build(settings: Settings) -> Service:
    """The gateway as it runs."""
    clock = SystemClock()
    broker = Broker(settings.amqp_url.get_secret_value(), "gateway")
    documents = _documents(settings.documents_url.get_secret_value())
    work, public = work_store(settings), public_store(settings)
    jobs, reports = DocumentJobs(documents), RecentReports(clock)
    relay = Relay(jobs, broker.publisher, clock)
    url_of = partial("{}/{}".format, settings.objects_url)

    admission = _admission(settings, jobs, BlobSpecs(work), clock, relay)
    overdue = partial(check_due, jobs=jobs, clock=clock, outbox=relay, url_of=url_of)
    checks = Periodic("checks", settings.check_seconds, overdue)
    sweep = Periodic("outbox sweep", SWEEP_EVERY.total_seconds(), relay.sweep)

    saga = SagaDesk(jobs=jobs, outbox=relay, clock=clock, url_of=url_of, admission=admission)
    consumer = Consumer(broker, Facts(broker.publisher, source=SOURCE, clock=clock), subscriptions(saga))
    listen_to_hints(broker, reports)

    health = Health(
        {
            "broker": broker.consumers_exist,
            "documents": documents.ping,
            "work store": work.ping,
            "public store": public.ping,
        }
    )
    application = create_application(
        authenticate=_everybody_is_local,
        health=health,
        variations=VariationsDesk(
            jobs=jobs,
            models=ModelDesk(load_catalogue(settings.catalogue_path or BUILT_IN), reports, stand_in=settings.stand_in),
            presenter=Presenter(base_url=settings.base_url, url_of=url_of, reports=reports),
            admission=admission,
            clock=clock,
            new_id=lambda: new_job_id(time.time_ns() // 1_000_000),
        ),
        pictures=PicturesDesk(jobs=jobs, url_of=url_of, public=public if settings.serves_objects else None),
        hosts=settings.known_hosts,
    )
    server = HttpServer(application, host=settings.host, port=settings.port)

    return Service(
        "gateway",
        health,
        [
            Part("documents", jobs.prepare, documents.close),
            Part("http", server.start, server.stop),
            Part("broker", broker.connect, broker.close),
            Part("work store", _at_first_use, work.close),
            Part("public store", _at_first_use, public.close),
            Part("relay", _at_first_use, relay.finish),
            Part("outbox sweep", sweep.start, sweep.stop),
            Part("admission", admission.start, admission.stop),
            Part("checks", checks.start, checks.stop),
            Part("consumers", consumer.start, partial(consumer.drain, settings.shutdown_grace_seconds)),
        ],
    )


def _admission(settings: Settings, jobs: Jobs, specs: Specs, clock: Clock, outbox: Outbox) -> Periodic:
    windows = {Lane.INTERACTIVE: settings.admission_interactive, Lane.BATCH: settings.admission_batch}

    async def fill(lane: str) -> None:
        window = windows[Lane(lane)]
        await admit_waiting(Lane(lane), window, jobs=jobs, specs=specs, clock=clock, outbox=outbox)

    async def fill_windows() -> None:
        await for_each(windows, fill)

    return Periodic("admission", _ADMISSION_EVERY_SECONDS, fill_windows)


def _documents(url: str) -> Documents:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return SqliteDocuments(Path(parts.path))
    return MongoDocuments(url, parts.path.strip("/") or "imagetron")


async def _everybody_is_local(_: Request) -> Principal:
    """Callers cannot authenticate yet; settings refuse to listen where strangers could reach this."""
    return LOCAL


async def _at_first_use() -> None:
    """Nothing to start: it works when it is first asked."""
