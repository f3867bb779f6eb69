"""The job document: what a caller asked for, how far each family is, and what waits to be told. No decisions."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import Field

from imagetron_contracts.crops import Detection, Subject
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.families import Family as Row
from imagetron_contracts.families import family_named
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Value
from imagetron_contracts.spec import TRITON, Output, ParentImage, Serving, Source, Verb
from imagetron_contracts.stages import Lane, PublishedFile
from imagetron_gateway.domain.prices import NOTHING, Cost
from imagetron_gateway.domain.providers import DELIVERY_OF, Delivery

HISTORY_LIMIT: Final = 100
# Idempotency keys of retries and the like that a job remembers; enough for days of a caller that retries.
REQUESTS_LIMIT: Final = 50


class JobStatus(StrEnum):
    """Terminal ones are left only by an explicit, recorded request."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in {JobStatus.QUEUED, JobStatus.RUNNING}


class FamilyStatus(StrEnum):
    """`waiting` is in the document store only; from `admitted` on the family is in the broker's bounded window."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    GENERATING = "generating"
    DERIVING = "deriving"
    PUBLISHING = "publishing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in {FamilyStatus.COMPLETED, FamilyStatus.PARTIAL, FamilyStatus.FAILED, FamilyStatus.CANCELLED}

    @property
    def is_in_flight(self) -> bool:
        return not self.is_terminal and self is not FamilyStatus.WAITING


class ImageStatus(StrEnum):
    """How far one image is. Progress only goes forward."""

    WAITING = "waiting"
    RENDERED = "rendered"
    DERIVED = "derived"
    PUBLISHED = "published"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        return self in {ImageStatus.PUBLISHED, ImageStatus.FAILED}


class Failure(Value):
    """Why an image or a family has no pictures. `supportId` finds the log lines."""

    stage: Stage
    code: FailureCode
    message: str
    support_id: str | None = None


class Render(Value):
    """What is known of the picture that a model made: where it lies while the work store keeps it, who made it, at what price."""

    key: str
    size: Dimensions
    provider: str | None = None
    served_by: str | None = None
    seconds: float | None = None
    gpu_seconds: float | None = None
    answer_digest: str | None = None


class Image(Value):
    """One image of a family: its seed, the digest of its render, its public files."""

    index: int
    seed: int
    status: ImageStatus = ImageStatus.WAITING
    digest: str | None = None
    render: Render | None = None
    files: tuple[PublishedFile, ...] = ()
    detection: Detection | None = None
    """What was found in the render; absent where nothing had to be looked for."""
    failure: Failure | None = None

    def unmade(self, seed: int | None = None) -> "Image":
        """The same image before anything was done for it, perhaps with another seed."""
        return Image(index=self.index, seed=self.seed if seed is None else seed)


class RecutImage(Value):
    """One image of a cutting again: owed until its new files are public, or until it fails and keeps the old ones."""

    index: int
    is_cut: bool = False
    failure: Failure | None = None

    @property
    def is_owed(self) -> bool:
        return not self.is_cut and self.failure is None


class Recut(Value):
    """The newest cutting again of a family's renders: under way, or over with failures. One that went well leaves nothing."""

    asked_at: datetime
    attempt: int
    """Of the family when it was asked for: a retry meanwhile makes no other work of it."""
    images: tuple[RecutImage, ...]
    requests_sent: int = 0
    check_at: datetime | None = None

    @property
    def is_under_way(self) -> bool:
        return any(image.is_owed for image in self.images)

    @property
    def failure(self) -> Failure | None:
        """Of its first image that failed."""
        return next((image.failure for image in self.images if image.failure), None)


class Family(Value):
    """One family of the current revision."""

    name: str
    render: Dimensions
    master: Dimensions | None = None
    """Of an upscaled picture; absent: as the table of families says, with all derivatives."""
    row: Row | None = None
    """What the table said when the job was made. Jobs of before it could be configured say nothing: it was the built-in one."""
    subject: Subject | None = None
    """What the caller says of these pictures' subject."""
    price_micros: int = 0
    """Of each delivered image, in micro-dollars."""
    fallback_price_micros: int = 0
    """The same, if the provider that stands in has made it."""
    images: tuple[Image, ...]
    status: FamilyStatus = FamilyStatus.WAITING
    attempt: int = 1
    requests_sent: int = 0
    """How often this attempt was put into the broker; capped, so that lost work ends in a failure, not in a loop."""
    budget_seconds: float = 0
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    check_at: datetime | None = None
    finished_at: datetime | None = None
    failure: Failure | None = None
    fingerprint: str | None = None
    model_seconds: float = 0
    encode_seconds: float = 0
    derivation: int = 0
    """How often its renders were to be cut again."""
    recut: Recut | None = None

    def unmade(self, seed_of: Callable[[int], int] | None = None) -> "Family":
        """The same family before anything was done for it; `seed_of` gives each image's seed by its index."""
        return Family(
            name=self.name,
            render=self.render,
            master=self.master,
            row=self.row,
            subject=self.subject,
            price_micros=self.price_micros,
            fallback_price_micros=self.fallback_price_micros,
            budget_seconds=self.budget_seconds,
            images=tuple(image.unmade(seed_of(image.index) if seed_of else None) for image in self.images),
        )

    @property
    def shape(self) -> Row:
        """Its master and derivatives, whatever the table says by now. Raises UnknownFamily for a document that lost its row."""
        return self.row or family_named(self.name)

    @property
    def estimated_micros(self) -> int:
        """What all its images would cost."""
        return self.price_micros * len(self.images)


class PublishedFamily(Value):
    """What a family's names point to: the images of the newest finished revision that has any."""

    revision: int
    images: tuple[Image, ...]


class Parameters(Value):
    """What the caller chose for the model, defaults filled in."""

    steps: int
    guidance_scale: float
    seed: int


class JobKind(StrEnum):
    """Which surface a job was asked for at; the work is the same."""

    VARIATION = "variation"
    IMAGE = "image"
    """The two-step pipeline: an approved prompt, one to five square images."""
    IMAGINE = "imagine"
    """From a prompt that its owner keeps."""
    DERIVED = "derived"
    """From an image: rerolled, varied, upscaled."""


class Policy(Value):
    """What the operator demands of every job, for all to see. Never a part of the final prompt."""

    negative_prompt: str = ""


NO_POLICY: Final = Policy()


class Lineage(Value):
    """Where a job's pictures come from: an image of another job, or a picture that its owner uploaded."""

    verb: Verb
    parent: ParentImage | None = None
    upload: str | None = None
    """The uploaded picture's id."""
    mode: str | None = None
    """In the caller's word: how far a variation goes, how much larger an upscaled picture is."""


class PromptReference(Value):
    """The kept prompt that a job was made from, as it was then."""

    id: str
    version: int


class Remark(Value):
    """A line of the job's history."""

    at: datetime
    what: str
    family: str | None = None
    detail: str | None = None


class Idempotency(Value):
    """A caller's Idempotency-Key and the fingerprint of what was asked with it: the same pair is the same request."""

    key: str
    fingerprint: str


class OutboxEntry(Value):
    """A message that was decided together with the document's state and is not yet confirmed by the broker."""

    id: str
    exchange: str
    routing_key: str
    body: str


class Job(Value):
    """One document, one writer. Everything that changes together is in here."""

    id: str
    version: int = 1
    revision: int = 1
    sequence: int = 0
    """Of the last public event."""
    owner: str
    idempotency: Idempotency | None = None
    """Of the submission; unique among the owner's jobs."""
    requests: tuple[Idempotency, ...] = ()
    """Of later requests that changed the job: retries, regenerations."""
    kind: JobKind = JobKind.VARIATION
    name: str
    category: str
    intent: str | None = None
    raw_prompt: str | None = None
    """What the final prompt was made from, if the caller said so."""
    final_prompt: str
    """As approved: reaches the model byte for byte."""
    negative_prompt: str
    """The caller's own; the policy's is apart."""
    policy: Policy = NO_POLICY
    prompt: PromptReference | None = None
    replay_of: str | None = None
    """The job whose inputs these are."""
    model: str
    provider: str = TRITON
    served_by: str
    fallback: Serving | None = None
    """Who may make the pictures instead, because the caller allowed it."""
    verb: Verb = Verb.IMAGINE
    source: Source | None = None
    lineage: Lineage | None = None
    cost: Cost = NOTHING
    parameters: Parameters
    formats: tuple[ImageFormat, ...] = (ImageFormat.WEBP,)
    """Of every picture; the first is the one that is told where there is one URL."""
    output: Output = Output()
    lane: Lane
    status: JobStatus = JobStatus.QUEUED
    families: dict[str, Family]
    published: dict[str, PublishedFamily] = Field(default_factory=dict)
    error: str | None = None
    history: tuple[Remark, ...] = ()
    outbox: tuple[OutboxEntry, ...] = ()
    outbox_at: datetime | None = None
    waiting_since: datetime | None = None
    """When the oldest waiting family began to wait; absent when none waits: what admission looks for."""
    waiting_owner: str | None = None
    """The owner while a family waits: so that admission finds each owner's turn without reading the backlog."""
    in_flight_families: int = 0
    next_check_at: datetime | None = None
    unmarked_revision: int | None = None
    """A cancelled revision whose marker object is not yet written for certain."""
    traceparent: str | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def delivery(self) -> Delivery:
        """How the provider hands over; one that the code no longer knows keeps no worker busy."""
        return DELIVERY_OF.get(self.provider, Delivery.POLLED)
