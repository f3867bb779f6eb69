"""Wires the gateway: the only place that names concrete classes."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import Clock, SystemClock
from imagetron_chassis.dead_letters import DeadLetterOffice
from imagetron_chassis.delivery import Consumer, Facts
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.health import Health, HttpServer
from imagetron_chassis.lifecycle import Background, Part, Service
from imagetron_chassis.outbox import SWEEP_EVERY, Relay
from imagetron_chassis.periodic import Periodic, for_each
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_chassis.principals import LOCAL, Principal
from imagetron_chassis.rpc import RpcClient
from imagetron_chassis.stores import public_store, work_store
from imagetron_contracts.families import BUILT_IN_TABLE
from imagetron_contracts.ids import new_job_id
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.audit import DocumentAudit
from imagetron_gateway.adapters.catalogue import BUILT_IN, load_catalogue
from imagetron_gateway.adapters.controls import DocumentControls
from imagetron_gateway.adapters.event_tails import RabbitEventTails
from imagetron_gateway.adapters.families import load_families
from imagetron_gateway.adapters.inbox import DocumentInbox
from imagetron_gateway.adapters.job_views import DocumentJobViews
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.adapters.parents import BlobParents
from imagetron_gateway.adapters.previews import PreviewsDrawnApart
from imagetron_gateway.adapters.prompts import RpcPrompts
from imagetron_gateway.adapters.reports import RecentReports
from imagetron_gateway.adapters.sources import DocumentSources, PicturesReadApart
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.api.admin import AdminDesk
from imagetron_gateway.api.application import create_application
from imagetron_gateway.api.crops import CropsDesk
from imagetron_gateway.api.derived_jobs import DerivedJobs
from imagetron_gateway.api.images import ImagesDesk
from imagetron_gateway.api.imagine import ImagineDesk
from imagetron_gateway.api.jobs import JobsDesk
from imagetron_gateway.api.models import ModelDesk
from imagetron_gateway.api.pictures import PicturesDesk
from imagetron_gateway.api.pipeline import PipelineDesk
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.sources import SourcesDesk
from imagetron_gateway.api.submissions import Submissions
from imagetron_gateway.api.variations import VariationsDesk
from imagetron_gateway.api.webhooks import CallbacksDesk
from imagetron_gateway.domain.callbacks import signers
from imagetron_gateway.domain.job import Policy
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.handlers import SagaDesk, listen_to_hints, subscriptions
from imagetron_gateway.ports import Outbox, Specs
from imagetron_gateway.settings import Settings
from imagetron_gateway.usecases import SOURCE, Turns, admit_waiting, check_due
from imagetron_gateway.usecases.auditing import Auditor
from imagetron_gateway.usecases.calling_back import forget_old
from imagetron_gateway.usecases.gates import Gates
from imagetron_gateway.usecases.operating_lanes import why_paused
from imagetron_gateway.usecases.queueing import Backlog, measure_backlog
from imagetron_gateway.usecases.taking_sources import forget_expired

# The net under the kicks: a kick lost with its process costs at most this long.
_ADMISSION_EVERY_SECONDS = 5.0
_MEASURED_EVERY_SECONDS = 15.0
_FORGOTTEN_EVERY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Core:
    """What the routes, the consumers and the periodic work have in common."""

    clock: Clock
    broker: Broker
    facts: Facts
    documents: Documents
    work: Blobs
    public: Blobs
    jobs: DocumentJobs
    controls: DocumentControls
    audit: DocumentAudit
    reports: RecentReports
    relay: Relay
    specs: BlobSpecs
    gates: Gates
    admission: Periodic
    tails: RabbitEventTails
    prompts: RpcPrompts
    sources: DocumentSources
    pictures: PictureReader
    inbox: DocumentInbox
    callback_relay: Relay
    url_of: UrlOf


def build(settings: Settings) -> Service:
    """The gateway as it runs."""
    core = _core(settings)
    jobs, clock, broker, relay = core.jobs, core.clock, core.broker, core.relay
    overdue = partial(check_due, jobs=jobs, specs=core.specs, clock=clock, outbox=relay, url_of=core.url_of)
    checks = Periodic("checks", settings.check_seconds, overdue)
    backlog = Periodic("backlog", _MEASURED_EVERY_SECONDS, partial(measure_backlog, jobs=jobs))
    relays = {"jobs": relay, "callbacks": core.callback_relay}
    sweep = Periodic(
        "outbox sweep", SWEEP_EVERY.total_seconds(), partial(for_each, relays, lambda name: relays[name].sweep())
    )
    forgetting = Periodic("forgetting", _FORGOTTEN_EVERY_SECONDS, partial(_forget, core))

    saga = SagaDesk(jobs=jobs, outbox=relay, clock=clock, url_of=core.url_of, admission=core.admission)
    consumer = Consumer(broker, core.facts, subscriptions(saga))
    listen_to_hints(broker, core.reports)

    # Jobs are taken, shown and cancelled without a broker: what is to be told waits in their outboxes.
    health = Health(
        {"documents": core.documents.ping, "work store": core.work.ping, "public store": core.public.ping},
        told_only={"broker": broker.consumers_exist},
    )
    background = Background()
    server = HttpServer(_application(settings, core, health), host=settings.host, port=settings.port)

    async def prepare() -> None:
        for collection in (jobs, core.controls, core.audit, core.sources, core.inbox):
            await collection.prepare()

    return Service(
        "gateway",
        health,
        [
            Part("documents", prepare, core.documents.close),
            Part("http", server.start, server.stop),
            background.part(Part("broker", broker.connect, broker.close)),
            # Before the server stops: it would wait for streams that never end.
            Part("event tails", _at_first_use, core.tails.close),
            Part("work store", _at_first_use, core.work.close),
            Part("public store", _at_first_use, core.public.close),
            Part("pictures", _at_first_use, core.pictures.stop),
            Part("relay", _at_first_use, relay.finish),
            Part("callback relay", _at_first_use, core.callback_relay.finish),
            Part("forgetting", forgetting.start, forgetting.stop),
            Part("outbox sweep", sweep.start, sweep.stop),
            Part("admission", core.admission.start, core.admission.stop),
            Part("checks", checks.start, checks.stop),
            Part("backlog", backlog.start, backlog.stop),
            background.part(
                Part("consumers", consumer.start, partial(consumer.drain, settings.shutdown_grace_seconds))
            ),
        ],
    )


def _core(settings: Settings) -> _Core:
    clock = SystemClock()
    broker = Broker(settings.amqp_url.get_secret_value(), "gateway")
    facts = Facts(broker.publisher, source=SOURCE, clock=clock)
    documents = _documents(settings.documents_url.get_secret_value())
    work = work_store(settings)
    jobs, controls, specs = DocumentJobs(documents), DocumentControls(documents), BlobSpecs(work)
    relay, inbox = Relay(jobs, broker.publisher, clock), DocumentInbox(documents, work)
    gates = Gates(peak_hours=settings.peak_hours, why_paused=partial(why_paused, controls=controls), clock=clock)
    return _Core(
        clock=clock,
        broker=broker,
        facts=facts,
        documents=documents,
        work=work,
        public=public_store(settings),
        jobs=jobs,
        controls=controls,
        audit=DocumentAudit(documents),
        reports=RecentReports(clock),
        relay=relay,
        specs=specs,
        gates=gates,
        admission=_admission(settings, gates, jobs, specs, clock, relay),
        tails=RabbitEventTails(broker),
        prompts=RpcPrompts(RpcClient(broker, facts)),
        sources=DocumentSources(documents, work, clock),
        pictures=PictureReader(),
        inbox=inbox,
        callback_relay=Relay(inbox, broker.publisher, clock),
        url_of=partial("{}/{}".format, settings.objects_url),
    )


def _application(settings: Settings, core: _Core, health: Health) -> FastAPI:
    jobs, clock = core.jobs, core.clock
    presenter = Presenter(base_url=settings.base_url, url_of=core.url_of, reports=core.reports)
    catalogue = load_catalogue(settings.catalogue_path or BUILT_IN)
    submissions = Submissions(
        jobs=jobs,
        models=ModelDesk(catalogue, core.reports, stand_in=settings.stand_in),
        table=load_families(settings.families_file, catalogue) if settings.families_file else BUILT_IN_TABLE,
        policy=Policy(negative_prompt=settings.policy_negative_prompt),
        backlog=Backlog(settings.max_waiting_jobs, jobs=jobs, clock=clock),
        admission=core.admission,
        clock=clock,
        new_id=_new_id,
    )
    return create_application(
        authenticate=_everybody_is_local,
        health=health,
        variations=VariationsDesk(
            jobs=jobs, submissions=submissions, presenter=presenter, admission=core.admission, clock=clock
        ),
        pipeline=PipelineDesk(jobs=jobs, prompts=core.prompts, submissions=submissions, url_of=core.url_of),
        imagine=ImagineDesk(prompts=core.prompts, submissions=submissions, presenter=presenter),
        images=ImagesDesk(
            jobs=jobs,
            derived=DerivedJobs(
                jobs=jobs,
                parents=BlobParents(core.work, core.public),
                sources=core.sources,
                submissions=submissions,
            ),
            submissions=submissions,
            presenter=presenter,
        ),
        sources=SourcesDesk(
            sources=core.sources,
            read_picture=PicturesReadApart(core.pictures),
            clock=clock,
            new_id=_new_id,
            base_url=settings.base_url,
        ),
        callbacks=CallbacksDesk(
            tokens=settings.callback_tokens,
            signers=signers(settings.callback_signers.get_secret_value()),
            inbox=core.inbox,
            outbox=core.callback_relay,
            clock=clock,
        ),
        jobs=JobsDesk(
            jobs=jobs,
            submissions=submissions,
            specs=core.specs,
            outbox=core.relay,
            presenter=presenter,
            admission=core.admission,
            clock=clock,
            url_of=core.url_of,
            why_closed=core.gates.why_closed,
        ),
        crops=CropsDesk(
            jobs=jobs,
            previews=PreviewsDrawnApart(core.work, core.pictures),
            outbox=core.relay,
            clock=clock,
            url_of=core.url_of,
            base_url=settings.base_url,
        ),
        admin=AdminDesk(
            jobs=jobs,
            views=DocumentJobViews(core.documents),
            controls=core.controls,
            audit=core.audit,
            auditor=Auditor(core.audit, clock=clock, new_id=_new_id),
            letters=DeadLetterOffice(core.broker, core.broker.publisher),
            tails=core.tails,
            windows=_windows(settings),
            why_closed=core.gates.why_closed,
            admission=core.admission,
            clock=clock,
        ),
        pictures=PicturesDesk(jobs=jobs, url_of=core.url_of, public=core.public if settings.serves_objects else None),
        hosts=settings.known_hosts,
    )


def _admission(
    settings: Settings, gates: Gates, jobs: DocumentJobs, specs: Specs, clock: Clock, outbox: Outbox
) -> Periodic:
    windows = _windows(settings)
    turns = Turns()

    async def fill(name: str) -> None:
        lane = Lane(name)
        if await gates.why_closed(lane) is None:
            await admit_waiting(lane, windows[lane], turns=turns, jobs=jobs, specs=specs, clock=clock, outbox=outbox)

    async def fill_windows() -> None:
        await for_each(windows, fill)

    return Periodic("admission", _ADMISSION_EVERY_SECONDS, fill_windows)


async def _forget(core: _Core) -> None:
    """What nobody needs any more: callbacks that were told, uploads that have expired."""
    await forget_old(inbox=core.inbox, clock=core.clock)
    await forget_expired(sources=core.sources)


def _windows(settings: Settings) -> dict[Lane, int]:
    return {Lane.INTERACTIVE: settings.admission_interactive, Lane.BATCH: settings.admission_batch}


def _new_id() -> str:
    return new_job_id(time.time_ns() // 1_000_000)


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
