"""The gateway's use cases over in-memory stores, with a clock that is set by hand. No expectations live here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents import Collection, DocumentsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.outbox import Relay
from imagetron_chassis.principals import Principal
from imagetron_chassis.testing import FakeClock, RecordingPublisher
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.stages import FamilyMessage, Lane
from imagetron_gateway.adapters.catalogue import BUILT_IN, load_catalogue
from imagetron_gateway.adapters.jobs import JOBS, DocumentJobs
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.domain.choosing import Chosen
from imagetron_gateway.domain.job import Idempotency, Job, Parameters
from imagetron_gateway.usecases import SAGA, NewJob, Turns, admit_waiting, check_due, submit_job, take_in
from support.builders import NOW, a_job_id, url_of

ANNA = Principal(owner="anna", scopes=frozenset({"*"}))
BERT = Principal(owner="bert", scopes=frozenset({"*"}))


class RacingJobs(DocumentJobs):
    """Somebody else is faster: the first `races` replacements find the document changed."""

    def __init__(self, documents: InMemoryDocuments, *, races: int = 0) -> None:
        super().__init__(documents)
        self.races = races

    async def replace(self, job: Job, principal: Principal, *, if_version: int) -> bool:
        if self.races > 0:
            self.races -= 1
            stored = await self.get(job.id, SAGA)
            assert stored is not None
            await super().replace(stored.model_copy(update={"version": if_version + 1}), SAGA, if_version=if_version)
        return await super().replace(job, principal, if_version=if_version)


class RacingDocuments(InMemoryDocuments):
    """The same, one floor below: between the read and the replacement the version has moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.races = 0

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        if self.races > 0:
            self.races -= 1
            stored = await self.get(collection, document["_id"])
            assert stored is not None
            await super().replace(collection, stored | {"version": if_version + 1}, if_version=if_version)
        return await super().replace(collection, document, if_version=if_version)


class FailingJobs(DocumentJobs):
    """The store goes away at the next replacement, and comes back."""

    def __init__(self, documents: InMemoryDocuments) -> None:
        super().__init__(documents)
        self.is_away = True

    async def replace(self, job: Job, principal: Principal, *, if_version: int) -> bool:
        if self.is_away:
            self.is_away = False
            raise DocumentsUnavailable("the store went away")
        return await super().replace(job, principal, if_version=if_version)


class Office:
    """Everything that the use cases need, and short ways to call them."""

    def __init__(self, jobs: DocumentJobs | None = None, publisher: RecordingPublisher | None = None) -> None:
        self.documents = InMemoryDocuments()
        self.jobs = jobs or DocumentJobs(self.documents)
        self.clock = FakeClock(NOW)
        self.publisher = publisher or RecordingPublisher()
        self.relay = Relay(self.jobs, self.publisher, self.clock)
        self.work = InMemoryBlobs()
        self.specs = BlobSpecs(self.work)
        self.turns = Turns()
        self._ids = 0

    def new_id(self) -> str:
        self._ids += 1
        return a_job_id(self._ids)

    async def submit(
        self,
        name: str = "a-beach",
        principal: Principal = ANNA,
        *,
        key: str | None = None,
        fingerprint: str = "this request",
        **fields: Any,
    ) -> Job:
        request = replace(a_new_variation(), name=name, **fields)
        submitted = await submit_job(
            request,
            principal,
            jobs=self.jobs,
            clock=self.clock,
            new_id=self.new_id,
            idempotency=Idempotency(key=key, fingerprint=fingerprint) if key else None,
        )
        return submitted.job

    async def admit(self, lane: Lane = Lane.INTERACTIVE, window: int = 9) -> int:
        admitted = await admit_waiting(
            lane,
            window,
            turns=self.turns,
            jobs=self.jobs,
            specs=self.specs,
            clock=self.clock,
            outbox=self.relay,
        )
        await self.relay.finish()
        return admitted

    async def take_in(self, *messages: FamilyMessage) -> Sequence[Job | None]:
        changed = [
            await take_in(
                message,
                cause=self.envelope(message),
                jobs=self.jobs,
                clock=self.clock,
                outbox=self.relay,
                url_of=url_of,
            )
            for message in messages
        ]
        await self.relay.finish()
        return changed

    async def check(self) -> int:
        due = await check_due(jobs=self.jobs, specs=self.specs, clock=self.clock, outbox=self.relay, url_of=url_of)
        await self.relay.finish()
        return due

    def envelope(self, message: FamilyMessage) -> Envelope:
        return Envelope.wrap(
            message, message_id=message.message_id(), source="imagetron/worker", time=NOW, job_id=message.job_id
        )

    async def read(self, job_id: str) -> Job:
        job = await self.jobs.get(job_id, SAGA)
        assert job is not None
        return job

    async def stored(self) -> int:
        return await self.documents.count(JOBS)

    def sent(self) -> list[str]:
        return [envelope.type for envelope in self.publisher.envelopes()]


def a_new_variation() -> NewJob:
    catalogue = load_catalogue(BUILT_IN)
    parameters = Parameters(steps=30, guidance_scale=7.5, seed=7)
    return NewJob(
        name="a-beach",
        category="marketing/seo",
        families=("square", "landscape"),
        prompt="a beach at sunset",
        negative_prompt="people",
        chosen=Chosen(catalogue["photorealistic"], catalogue["preview"], "preview", parameters),
        lane=Lane.INTERACTIVE,
    )
