"""Bodies of `/api/jobs/*`: a job in our own words, the same for every kind."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from imagetron_gateway.api.output_schemas import OutputShown, SubjectShown
from imagetron_gateway.api.schemas import Body, FailureShown, FamilyNames, Shown
from imagetron_gateway.api.verb_schemas import LineageShown
from imagetron_gateway.domain.job import JobStatus


class CancelBody(Body):
    """Cancel only what is as you believe it to be."""

    expected_status: JobStatus | None = Field(
        default=None, description="The status that the job must have; if it has another one, nothing happens (409)."
    )


class RetryBody(Body):
    """Which failed families to make again."""

    families: FamilyNames = Field(
        default=[], description="Failed or partial families of the job; none named: all of them."
    )


class JobLinks(Shown):
    """Where to go from here, absolute."""

    self: str
    variation: str
    cancel: str
    retry: str
    regenerate: str
    replay: str


class JobImageShown(Shown):
    """One image of a family. `digest` names the pixels of its render."""

    id: str = Field(description="For reroll, vary and upscale.")
    index: int
    seed: int
    status: str
    digest: str | None
    provider: str | None = Field(description="Who made it; null while nobody has.")
    served_by: str | None = Field(description="The provider's name of the model that made it.")
    seconds: float | None = Field(description="From asking the provider to having the picture.")
    gpu_seconds: float | None = Field(description="Of our own hardware.")
    answer_digest: str | None = Field(description="Of what an outside provider answered, for audits.")
    price_usd: float = Field(description="Charged if it is delivered, and only then.")
    error: FailureShown | None


class JobFamilyShown(Shown):
    """A family: the unit of work, of failure and of retry. `progress` runs from 0 to 1."""

    status: str
    attempt: int
    progress: float
    images: list[JobImageShown]
    budget_seconds: float = Field(description="What its images may take, counted from `startedAt`: by size and steps.")
    admitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    subject: SubjectShown | None = Field(description="What the caller says of its pictures' subject.")
    error: FailureShown | None


class PlaceShown(Shown):
    """A waiting job's place in its lane."""

    position: int = Field(description="1 is next. Owners take turns, so it may be served sooner, hardly ever later.")
    estimated_wait_seconds: int | None = Field(
        description="From the lane's pace in the last five minutes; null when it has none."
    )


class RemarkShown(Shown):
    """A line of the history."""

    at: datetime
    what: str
    family: str | None
    detail: str | None


class CostShown(Shown):
    """In US dollars. Delivered images are charged, and no others; the estimate is what all of them would cost."""

    estimated_usd: float
    actual_usd: float
    currency: Literal["USD"] = "USD"


class PolicyShown(Shown):
    """What the operator demands of every job."""

    negative_prompt: str = Field(
        description="Told to the model after the caller's own; never merged into `finalPrompt`."
    )


class PromptReferenceShown(Shown):
    """A kept prompt, as it was when the job was made."""

    id: str
    version: int


class JobShown(Shown):
    """A job with everything that is known of it."""

    id: str
    kind: str
    name: str
    category: str
    status: JobStatus
    revision: int
    lane: str
    queue: PlaceShown | None = Field(description="Null when nothing of it waits.")
    delayed: str | None = Field(description="Why it does not move just now, in a sentence; null when it does.")
    intent: str | None
    raw_prompt: str | None = Field(description="What the final prompt was made from, if the caller said so.")
    final_prompt: str = Field(description="As approved; reaches the model byte for byte.")
    negative_prompt: str
    policy: PolicyShown
    prompt: PromptReferenceShown | None = Field(description="The kept prompt that it was made from.")
    replay_of: str | None = Field(description="The job whose inputs these are.")
    lineage: LineageShown | None = Field(description="What its pictures were made from.")
    model: str
    provider: str
    served_by: str
    fallback: str | None = Field(description="The provider's model that may take over, because the caller allowed it.")
    cost: CostShown
    output: OutputShown
    families: dict[str, JobFamilyShown]
    error: str | None
    history: list[RemarkShown]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: JobLinks


class JobAccepted(Shown):
    """The answer to a retry or a replay: the work goes on without the caller."""

    id: str
    status: JobStatus = Field(description="Always `queued`: it waits for its turn.")
    links: JobLinks
