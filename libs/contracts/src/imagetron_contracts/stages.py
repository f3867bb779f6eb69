"""The private messages between our services: on `imagetron.stages` (never lost) and `imagetron.hints` (may be lost).

No pixels and no prompt text: pictures and the spec travel as object keys.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from imagetron_contracts.crops import Crop, Detection, Subject
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.ids import JobId, stage_message_id
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Message, Value
from imagetron_contracts.spec import image_prefix, public_key, spec_key

Digest = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
"""Names pixels; part of keys, URLs and ETags, hence nothing but letters, digits, `-` and `_`."""


class Lane(StrEnum):
    """Interactive work has somebody waiting for it; batch work has time."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Pool(StrEnum):
    """Which workers take a family: its queue. What waits for other people's servers must not hold up our GPU, nor wait for it."""

    GPU = "gpu"
    EXTERNAL = "external"


class FamilyMessage(Message):
    """Which work this is about. Results of an older revision or attempt than the job document's are ignored."""

    job_id: JobId
    revision: int = Field(ge=1)
    family: str
    attempt: int = Field(ge=1)

    def indexes(self) -> tuple[int, ...]:
        """The images that this message speaks of."""
        return ()

    def _owns(self, index: int, *keys: str) -> None:
        """Refuse work objects of another job, family or attempt: a message must not bring somebody else's pictures."""
        folder = image_prefix(self.job_id, self.revision, self.family, self.attempt, index) + "/"
        if not all(key.startswith(folder) and ".." not in key for key in keys):
            raise ValueError(f"a key of image {index} does not lie under its own folder")

    def message_id(self) -> str:
        """The same work gives the same id, however often it is done."""
        detail = ".".join(map(str, self.indexes()))
        return stage_message_id(self.job_id, self.revision, self.family, self.attempt, self.TYPE, detail)


class CuttingMessage(FamilyMessage):
    """About files that are cut from renders. The same renders may be cut again, elsewhere: each time is a derivation."""

    derivation: int | None = Field(default=None, ge=1)
    """Absent: the first cutting, which every family gets. Counted from 1 for those that somebody asked for later."""

    def message_id(self) -> str:
        """The same work gives the same id, however often it is done."""
        if self.derivation is None:
            return super().message_id()
        detail = ".".join(map(str, self.indexes()))
        work = (self.job_id, self.revision, self.family, self.attempt)
        return stage_message_id(*work, self.TYPE, detail, self.derivation)


class ImageError(Value):
    """Why one image has no result at this stage."""

    index: int = Field(ge=0)
    code: FailureCode
    message: str


class FamilyRequested(FamilyMessage):
    """Make these images of the family. The spec object behind `specKey` holds prompts, parameters, seeds and sizes."""

    TYPE: ClassVar[str] = "FAMILY_REQUESTED"
    ROUTING_KEY: ClassVar[str] = "family.requested"
    lane: Lane
    spec_key: str
    image_indexes: tuple[int, ...] = Field(min_length=1)
    budget_seconds: float = Field(gt=0)
    """How long the images of this message may take, counted from FAMILY_STARTED."""
    pool: Pool | None = None
    """Absent: the GPU's."""

    @model_validator(mode="after")
    def _names_its_own_spec(self) -> Self:
        if self.spec_key != spec_key(self.job_id, self.revision):
            raise ValueError("specKey is not the key of this job and revision")
        return self

    def routing_key(self) -> str:
        return f"{self.ROUTING_KEY}.{self.pool.value if self.pool is Pool.EXTERNAL else self.lane.value}"

    def indexes(self) -> tuple[int, ...]:
        return self.image_indexes


class FamilyStarted(FamilyMessage):
    """A generator has taken the family and is about to call the model. Deadlines count from here."""

    TYPE: ClassVar[str] = "FAMILY_STARTED"
    ROUTING_KEY: ClassVar[str] = "family.started"
    image_indexes: tuple[int, ...]
    started_at: AwareDatetime

    def indexes(self) -> tuple[int, ...]:
        return self.image_indexes


class FamilyResult(FamilyMessage):
    """What a stage made of some images: the good ones, and why the others are not."""

    errors: tuple[ImageError, ...] = ()

    def good_indexes(self) -> tuple[int, ...]:
        return ()

    def indexes(self) -> tuple[int, ...]:
        return tuple(sorted((*self.good_indexes(), *(error.index for error in self.errors))))


class RenderedImage(Value):
    """A render in the work store, and all that is needed to make it again."""

    index: int = Field(ge=0)
    key: str
    size: Dimensions
    seed: int
    digest: Digest
    """sha256 of the pixels in hex: two renders with one digest are one picture."""
    provider: str | None = None
    served_by: str | None = None
    """The provider's model that made this image; another one than the job's where it stood in."""
    seconds: float | None = Field(default=None, ge=0)
    """From asking the provider to having the picture."""
    gpu_seconds: float | None = Field(default=None, ge=0)
    """Of our own hardware; absent where it was somebody else's."""
    answer_digest: str | None = None
    """sha256 in hex of what the provider answered, for audits; absent where the pixels are the whole answer."""


class RendersGenerated(FamilyResult):
    """The model's pictures are in the work store. `images` and `errors` together name every index asked for."""

    TYPE: ClassVar[str] = "RENDERS_GENERATED"
    ROUTING_KEY: ClassVar[str] = "renders.generated"
    spec_key: str
    images: tuple[RenderedImage, ...]
    model: str
    served_by: str
    fingerprint: str
    """The environment that made the pixels: model version, libraries, device."""
    model_seconds: float = Field(ge=0)

    @model_validator(mode="after")
    def _names_its_own_objects(self) -> Self:
        if self.spec_key != spec_key(self.job_id, self.revision):
            raise ValueError("specKey is not the key of this job and revision")
        for image in self.images:
            self._owns(image.index, image.key)
        return self

    def good_indexes(self) -> tuple[int, ...]:
        return tuple(image.index for image in self.images)


class DerivativesRequested(CuttingMessage):
    """Cut these renders again, with another subject in mind. The spec still says which files; no model is asked."""

    TYPE: ClassVar[str] = "DERIVATIVES_REQUESTED"
    ROUTING_KEY: ClassVar[str] = "derivatives.requested"
    derivation: int = Field(ge=1)
    spec_key: str
    images: tuple[RenderedImage, ...] = Field(min_length=1)
    subject: Subject | None = None
    """Instead of the spec's. Absent: nothing is said of it, and what is detected decides."""

    @model_validator(mode="after")
    def _names_its_own_objects(self) -> Self:
        if self.spec_key != spec_key(self.job_id, self.revision):
            raise ValueError("specKey is not the key of this job and revision")
        for image in self.images:
            # An image that was good at once keeps its render while others of the family are tried again.
            folders = [
                image_prefix(self.job_id, self.revision, self.family, attempt, image.index) + "/"
                for attempt in range(1, self.attempt + 1)
            ]
            if not image.key.startswith(tuple(folders)) or ".." in image.key:
                raise ValueError(f"a key of image {image.index} does not lie under its own folder")
        return self

    def indexes(self) -> tuple[int, ...]:
        return tuple(image.index for image in self.images)

    def good_indexes(self) -> tuple[int, ...]:
        return self.indexes()


class DerivedFile(Value):
    """One encoded picture in the work store: the master (named as its family) or a derivative."""

    name: str
    key: str
    size: Dimensions
    format: ImageFormat
    byte_count: int = Field(ge=1)
    digest: Digest
    """sha256 of the file in hex: files of one digest are one file."""
    crop: Crop | None = None


class DerivedImage(Value):
    """All files of one image, master first."""

    index: int = Field(ge=0)
    files: tuple[DerivedFile, ...] = Field(min_length=1)
    detection: Detection | None = None
    """Absent where nothing had to be looked for."""


class DerivativesRendered(CuttingMessage, FamilyResult):
    """Masters and derivatives are cut and encoded."""

    TYPE: ClassVar[str] = "DERIVATIVES_RENDERED"
    ROUTING_KEY: ClassVar[str] = "derivatives.rendered"
    images: tuple[DerivedImage, ...]
    encode_seconds: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _names_its_own_objects(self) -> Self:
        for image in self.images:
            self._owns(image.index, *(file.key for file in image.files))
        return self

    def good_indexes(self) -> tuple[int, ...]:
        return tuple(image.index for image in self.images)


class PublishedFile(Value):
    """One picture that everybody may read, under its immutable public key."""

    name: str
    key: str
    size: Dimensions
    format: ImageFormat
    byte_count: int = Field(ge=1)
    digest: Digest
    crop: Crop | None = None


class PublishedFiles(Value):
    """All public files of one image, master first."""

    index: int = Field(ge=0)
    files: tuple[PublishedFile, ...] = Field(min_length=1)
    detection: Detection | None = None


class FamilyPublished(CuttingMessage, FamilyResult):
    """The family's pictures are in the public store."""

    TYPE: ClassVar[str] = "FAMILY_PUBLISHED"
    ROUTING_KEY: ClassVar[str] = "family.published"
    images: tuple[PublishedFiles, ...]

    @model_validator(mode="after")
    def _names_its_own_objects(self) -> Self:
        for file in (file for image in self.images for file in image.files):
            if file.key != public_key(self.job_id, file.digest, file.format.extension):
                raise ValueError("a public key is not made of this job and the file's digest")
        return self

    def good_indexes(self) -> tuple[int, ...]:
        return tuple(image.index for image in self.images)


class StageFailed(CuttingMessage):
    """A stage gave up on these images. `supportId` finds the log lines."""

    TYPE: ClassVar[str] = "STAGE_FAILED"
    ROUTING_KEY: ClassVar[str] = "stage.failed"
    stage: Stage
    code: FailureCode
    message: str
    image_indexes: tuple[int, ...]
    support_id: str

    def indexes(self) -> tuple[int, ...]:
        return self.image_indexes

    @classmethod
    def of(
        cls,
        work: FamilyMessage,
        *,
        stage: Stage,
        code: FailureCode,
        message: str,
        image_indexes: tuple[int, ...],
        support_id: str,
    ) -> Self:
        """The failure of these images of the work that a message asked for."""
        return cls(
            job_id=work.job_id,
            revision=work.revision,
            family=work.family,
            attempt=work.attempt,
            stage=stage,
            code=code,
            message=message,
            image_indexes=image_indexes,
            support_id=support_id,
            derivation=work.derivation if isinstance(work, CuttingMessage) else None,
        )


class ProviderCallback(Message):
    """A provider called back; the gateway checked it and put the body into its inbox under this id."""

    TYPE: ClassVar[str] = "PROVIDER_CALLBACK"
    ROUTING_KEY: ClassVar[str] = "provider.callback"
    provider: str
    inbox_id: str
    """The body lies in the work store under `callback_key(provider, inboxId)`."""
    task_reference: str
    is_signed: bool | None = None
    """The provider signed the body. What is not signed is looked up at the provider before it is believed."""

    def message_id(self) -> str:
        """One for each body that was taken in."""
        return self.inbox_id


class ObjectsDiscarded(Message):
    """Nobody may read these objects any more; the publisher removes them."""

    TYPE: ClassVar[str] = "OBJECTS_DISCARDED"
    ROUTING_KEY: ClassVar[str] = "objects.discarded"
    job_id: JobId
    keys: tuple[str, ...] = Field(min_length=1)


class Progress(FamilyMessage):
    """A model finished a step of one image."""

    TYPE: ClassVar[str] = "PROGRESS"
    ROUTING_KEY: ClassVar[str] = "progress"
    index: int = Field(ge=0)
    step: int = Field(ge=0)
    steps: int = Field(ge=1)

    def message_id(self) -> str:
        """Every step of every image is news."""
        return stage_message_id(self.job_id, self.revision, self.family, self.attempt, self.TYPE, self.index, self.step)


class JobChanged(Message):
    """A job document has a new version: wakes whoever watches it."""

    TYPE: ClassVar[str] = "JOB_CHANGED"
    ROUTING_KEY: ClassVar[str] = "job.changed"
    job_id: JobId
    version: int


class JobCancelled(Message):
    """A job was cancelled. The marker object is the truth; this hint only makes it quick."""

    TYPE: ClassVar[str] = "JOB_CANCELLED"
    ROUTING_KEY: ClassVar[str] = "job.cancelled"
    job_id: JobId
    revision: int


class ModelHealth(Message):
    """The result of one synthetic inference."""

    TYPE: ClassVar[str] = "MODEL_HEALTH"
    ROUTING_KEY: ClassVar[str] = "model.health"
    reporter: str
    model: str
    """The provider's name of the model that was called."""
    is_available: bool
    response_seconds: float | None = None
    error: str | None = None
    checked_at: AwareDatetime


STAGE_MESSAGES: Final[tuple[type[Message], ...]] = (
    FamilyRequested,
    FamilyStarted,
    RendersGenerated,
    DerivativesRequested,
    DerivativesRendered,
    FamilyPublished,
    StageFailed,
    ProviderCallback,
    ObjectsDiscarded,
)
HINTS: Final[tuple[type[Message], ...]] = (Progress, JobChanged, JobCancelled, ModelHealth)
