"""The gateway's HTTP application over in-memory stores, reached without a network. No expectations live here."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request

from contract.api.doors import PaintsOver, PillowInThisProcess
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.health import Health
from imagetron_chassis.outbox import Relay
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.principals import Principal
from imagetron_chassis.testing import FakeClock, RecordingPublisher
from imagetron_contracts.families import BUILT_IN_TABLE, FamilyTable
from imagetron_contracts.stages import FamilyMessage, Lane, ModelHealth
from imagetron_gateway.adapters.audit import DocumentAudit
from imagetron_gateway.adapters.catalogue import BUILT_IN, load_catalogue
from imagetron_gateway.adapters.controls import DocumentControls
from imagetron_gateway.adapters.inbox import DocumentInbox
from imagetron_gateway.adapters.job_views import DocumentJobViews
from imagetron_gateway.adapters.jobs import JOBS, DocumentJobs
from imagetron_gateway.adapters.parents import BlobParents
from imagetron_gateway.adapters.previews import PreviewsDrawnApart
from imagetron_gateway.adapters.reports import RecentReports
from imagetron_gateway.adapters.sources import DocumentSources
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
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.job import NO_POLICY, Job, Policy
from imagetron_gateway.usecases import SAGA
from imagetron_gateway.usecases.auditing import Auditor
from imagetron_gateway.usecases.queueing import Backlog
from support.builders import NOW, a_job_id, published_as, url_of
from support.operating import InMemoryDeadLetters, InMemoryEventTails
from support.prompts import ScriptedPrompts

BASE = "https://api.example.com"
VARIATIONS = "/api/images/variations"
JSON = {"Content-Type": "application/json"}
ANNA = Principal(owner="anna", scopes=frozenset({"*"}))


class Counter:
    """One application, its stores, and a client in front of it. `principal` is who calls."""

    def __init__(
        self,
        *,
        documents: Documents | None = None,
        public: InMemoryBlobs | None = None,
        stand_in: str | None = "preview",
        redirects: bool = False,
        max_waiting: int = 1000,
        policy: Policy = NO_POLICY,
        table: FamilyTable = BUILT_IN_TABLE,
    ) -> None:
        self.policy, self.table = policy, table
        self.prompts = ScriptedPrompts()
        self.memory = InMemoryDocuments()
        self.jobs = DocumentJobs(documents or self.memory)
        self.clock = FakeClock(NOW)
        self.reports = RecentReports(self.clock)
        self.public = public or InMemoryBlobs()
        self.work = InMemoryBlobs()
        self.sources = DocumentSources(self.memory, self.work, self.clock)
        self.inbox = DocumentInbox(self.memory, self.work)
        self.publisher = RecordingPublisher()
        self.relay = Relay(self.jobs, self.publisher, self.clock)
        self.drawer = PaintsOver()
        self.controls, self.audit = DocumentControls(self.memory), DocumentAudit(self.memory)
        self.letters, self.tails = InMemoryDeadLetters(), InMemoryEventTails()
        self.closed: str | None = None
        self.max_waiting = max_waiting
        self.principal = ANNA
        self.admission = Periodic("admission", 3600, self._nothing)
        self.rounds = 0
        self._ids = 0
        self.application = self._application(stand_in, redirects=redirects)
        self._transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=self._transport, base_url=BASE)

    def restart(self, table: FamilyTable) -> None:
        """The same stores, behind an application that the operator has given another table of families."""
        self.table = table
        self._transport.app = self.application = self._application("preview", redirects=False)

    def _application(self, stand_in: str | None, *, redirects: bool) -> FastAPI:
        submissions = Submissions(
            jobs=self.jobs,
            models=ModelDesk(load_catalogue(BUILT_IN), self.reports, stand_in=stand_in),
            policy=self.policy,
            table=self.table,
            backlog=Backlog(self.max_waiting, jobs=self.jobs, clock=self.clock),
            admission=self.admission,
            clock=self.clock,
            new_id=self._new_id,
        )
        presenter = Presenter(base_url=BASE, url_of=url_of, reports=self.reports)
        admission = self.admission
        return create_application(
            authenticate=self._caller,
            health=Health({}),
            variations=VariationsDesk(
                jobs=self.jobs,
                submissions=submissions,
                presenter=presenter,
                admission=admission,
                clock=self.clock,
            ),
            pipeline=PipelineDesk(jobs=self.jobs, prompts=self.prompts, submissions=submissions, url_of=url_of),
            imagine=ImagineDesk(prompts=self.prompts, submissions=submissions, presenter=presenter),
            images=ImagesDesk(
                jobs=self.jobs,
                derived=DerivedJobs(
                    jobs=self.jobs,
                    parents=BlobParents(self.work, self.public),
                    sources=self.sources,
                    submissions=submissions,
                ),
                submissions=submissions,
                presenter=presenter,
            ),
            sources=SourcesDesk(
                sources=self.sources,
                read_picture=PillowInThisProcess(),
                clock=self.clock,
                new_id=self._new_id,
                base_url=BASE,
            ),
            callbacks=CallbacksDesk(
                tokens=CallbackTokens("a secret of the tests, long enough"),
                signers={"callback": ()},
                inbox=self.inbox,
                outbox=Relay(self.inbox, self.publisher, self.clock),
                clock=self.clock,
            ),
            jobs=JobsDesk(
                jobs=self.jobs,
                submissions=submissions,
                specs=BlobSpecs(self.work),
                outbox=self.relay,
                presenter=presenter,
                admission=admission,
                clock=self.clock,
                url_of=url_of,
                why_closed=self._why_closed,
            ),
            crops=CropsDesk(
                jobs=self.jobs,
                previews=PreviewsDrawnApart(self.work, self.drawer),
                outbox=self.relay,
                clock=self.clock,
                url_of=url_of,
                base_url=BASE,
            ),
            admin=self._admin_desk(admission),
            pictures=PicturesDesk(jobs=self.jobs, url_of=url_of, public=None if redirects else self.public),
        )

    def _admin_desk(self, admission: Periodic) -> AdminDesk:
        return AdminDesk(
            jobs=self.jobs,
            views=DocumentJobViews(self.memory),
            controls=self.controls,
            audit=self.audit,
            auditor=Auditor(self.audit, clock=self.clock, new_id=self._new_id),
            letters=self.letters,
            tails=self.tails,
            windows={Lane.INTERACTIVE: 32, Lane.BATCH: 16},
            why_closed=self._why_closed,
            admission=admission,
            clock=self.clock,
        )

    async def submit(self, body: Any, path: str = VARIATIONS, **headers: str) -> httpx.Response:
        """NaN and lone surrogates travel as Python writes them."""
        return await self.post(json.dumps(body), path, **headers)

    async def post(
        self, content: str | bytes | AsyncIterator[bytes], path: str = VARIATIONS, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=content, headers=JSON | named)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers=named)

    async def stored(self) -> int:
        return await self.memory.count(JOBS)

    async def job(self, job_id: str) -> Job:
        job = await self.jobs.get(job_id, SAGA)
        assert job is not None
        return job

    async def play(self, job_id: str, *messages: FamilyMessage) -> Job:
        """The job's families are admitted, and the workers say this."""
        job = await self.job(job_id)
        version = job.version
        for family in job.families:
            admitted = saga.admit(job, family, self.clock.now())
            job = admitted.job if admitted else job
        for message in messages:
            decision = saga.apply(job, message, self.clock.now(), url_of)
            job = decision.job if decision else job
        job = job.model_copy(update={"version": version + 1})
        assert await self.jobs.replace(job, SAGA, if_version=version)
        return job

    async def publish(self, job_id: str, families: Iterable[str] | None = None) -> Job:
        """These families are published (all, if none is named), and their objects are in the public store."""
        job = await self.job(job_id)
        messages = [published_as(job, family) for family in families or job.families]
        for file in (file for message in messages for image in message.images for file in image.files):
            content_type = file.format.content_type
            await self.public.put_if_absent(file.key, f"pixels of {file.key}".encode(), content_type=content_type)
        return await self.play(job_id, *messages)

    async def report(self, *reports: ModelHealth) -> None:
        for report in reports:
            await self.reports.on_model_health(report)

    async def _caller(self, _: Request) -> Principal:
        return self.principal

    def _new_id(self) -> str:
        self._ids += 1
        return a_job_id(self._ids)

    async def _why_closed(self, _: Lane) -> str | None:
        return self.closed

    async def _nothing(self) -> None:
        self.rounds += 1


@asynccontextmanager
async def opened(counter: Counter) -> AsyncIterator[Counter]:
    async with counter.client:
        for collection in (counter.jobs, counter.controls, counter.audit, counter.sources, counter.inbox):
            await collection.prepare()
        yield counter


def the_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The body of an answer that must be a problem; every problem is checked for what it must and must not hold."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    for secret in ("Traceback", "pymongo", "sqlite", "site-packages", "/usr/", "/home/", ".py"):
        assert secret not in answer.text
    body: dict[str, Any] = answer.json()
    assert body.keys() == {"type", "title", "status", "detail", "code", "trace_id", "retryable", "errors"}
    assert body["status"] == status
    assert body["type"] == f"urn:imagetron:problem:{body['code']}"
    assert body["code"] == (code or body["code"])
    return body


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]
