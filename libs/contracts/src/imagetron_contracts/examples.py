"""One full example of every message, for the documents that are generated. Golden samples are not made from these."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from imagetron_contracts.crops import Box, Crop, Detection, Evidence, Fit, Point, Subject, Window
from imagetron_contracts.envelope import MESSAGE_TYPES, Envelope
from imagetron_contracts.events import (
    EVENTS,
    FamilyCompleted,
    FamilyFailed,
    PublishedImage,
    VariationCancelled,
    VariationCompleted,
    VariationFailed,
    VariationPartial,
    VariationStarted,
)
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.ids import event_id
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import (
    RPC,
    Caller,
    ChangePrompt,
    DescribePrompts,
    EnhancePrompt,
    ForgetSubjects,
    GetPrompt,
    ListPrompts,
    PaidCall,
    Prompt,
    PromptEnhanced,
    PromptPage,
    PromptRemoved,
    PromptsDescribed,
    PromptShown,
    PromptsWritten,
    ProposeSubjects,
    ReadSubjectsHistory,
    Refusal,
    RemovePrompt,
    RequestRefused,
    RetitlePrompt,
    Source,
    SubjectsForgotten,
    SubjectsHistory,
    SubjectsProposed,
    SubjectsTurn,
    WritePrompts,
)
from imagetron_contracts.spec import image_prefix, spec_key
from imagetron_contracts.stages import (
    DerivativesRendered,
    DerivativesRequested,
    DerivedFile,
    DerivedImage,
    FamilyPublished,
    FamilyRequested,
    FamilyStarted,
    ImageError,
    JobCancelled,
    JobChanged,
    Lane,
    ModelHealth,
    ObjectsDiscarded,
    Progress,
    ProviderCallback,
    PublishedFile,
    PublishedFiles,
    RenderedImage,
    RendersGenerated,
    StageFailed,
)

_JOB: Final = "01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e41"
_NAME: Final = "hero-sunset-beach"
_AT: Final = datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)
_FOLDER: Final = image_prefix(_JOB, 1, "square", 1, 0)
_PIXELS: Final = "9f2c4e1b7a8d3056" * 4
_MASTER_KEY: Final = f"{_JOB}/{_PIXELS}.webp"
_MASTER_SIZE: Final = Dimensions(width=1024, height=1024)
_MASTER_URL: Final = f"https://images.example.com/{_MASTER_KEY}"
_CARD_URL: Final = f"https://images.example.com/{_JOB}/{'41d07c9be5a2f368' * 4}.webp"
_SQUARE: Final = {"square": _MASTER_URL, "twitter-card": _CARD_URL}
_SLOW: Final = "The model did not answer in time."
_FILTERED: Final = ImageError(index=1, code=FailureCode.CONTENT_FILTERED, message="The provider withheld this image.")

_RENDER: Final = RenderedImage(index=0, key=f"{_FOLDER}/render", size=_MASTER_SIZE, seed=1234567890, digest=_PIXELS)
_FACE: Final = Box(left=0.31, top=0.12, right=0.58, bottom=0.49)
_DETECTION: Final = Detection(
    detector="opencv 4.14.0; haar alt2; spectral residual", faces=(_FACE,), salient=Point(x=0.44, y=0.33)
)
_CROP: Final = Crop(window=Window(left=0, top=0, width=1024, height=1024), evidence=Evidence.FACES, fit=Fit.WHOLE)

_CALLER: Final = Caller(owner="user:41")
_CALL: Final = PaidCall(id="5f0c2d7a-8e41-5b1e-9a3d-01948f2e6c00", fingerprint="b7e23ec29af22b0b" * 4)
_SUBJECT: Final = "wet leaves at a tram stop"
_TURN: Final = SubjectsTurn(
    id="0d5f2a31-7c46-5e90-8b1d-6f3a9c2e4b75",
    topic="autumn in the city",
    subjects=(_SUBJECT, "a steaming cup at a window"),
    source=Source.MODEL,
    template="subjects@1",
    created_at=_AT,
)
_PROMPT: Final = Prompt(
    id="3b9d1c64-52ef-5a07-9c88-e14f7a60d2b3",
    version=2,
    title="Tram stop in the rain",
    text="Wet maple leaves at a tram stop at dusk, reflections of warm light, shallow depth of field",
    subject=_SUBJECT,
    status="approved",
    source=Source.MODEL,
    template="prompts@1",
    created_at=_AT,
    updated_at=_AT,
)

_ALL: Final[tuple[Message, ...]] = (
    VariationStarted(variation_id=_JOB, name=_NAME, family_count=2),
    FamilyCompleted(
        variation_id=_JOB,
        family_name="square",
        public_url=_MASTER_URL,
        derivatives={"twitter-card": _CARD_URL},
        images=(
            PublishedImage(index=0, url=_MASTER_URL, derivatives={"twitter-card": _CARD_URL}),
            PublishedImage(index=1, error=_FILTERED.message),
        ),
    ),
    FamilyFailed(
        variation_id=_JOB,
        family_name="landscape",
        stage=Stage.GENERATING,
        code=FailureCode.DEADLINE_EXCEEDED,
        message=_SLOW,
        retryable=True,
    ),
    VariationCompleted(variation_id=_JOB, name=_NAME, category="marketing/seo", public_urls={"square": _SQUARE}),
    VariationPartial(variation_id=_JOB, partial_urls={"square": _SQUARE}, errors={"landscape": _SLOW}),
    VariationFailed(
        variation_id=_JOB, error_message="No family could be made.", errors={"square": _SLOW, "landscape": _SLOW}
    ),
    VariationCancelled(variation_id=_JOB, partial_urls={"square": _SQUARE}),
    FamilyRequested(
        job_id=_JOB,
        revision=1,
        family="square",
        attempt=1,
        lane=Lane.INTERACTIVE,
        spec_key=spec_key(_JOB, 1),
        image_indexes=(0, 1),
        budget_seconds=240,
    ),
    FamilyStarted(job_id=_JOB, revision=1, family="square", attempt=1, image_indexes=(0, 1), started_at=_AT),
    RendersGenerated(
        job_id=_JOB,
        revision=1,
        family="square",
        attempt=1,
        errors=(_FILTERED,),
        spec_key=spec_key(_JOB, 1),
        images=(_RENDER,),
        model="photorealistic",
        served_by="sdxl",
        fingerprint="sdxl 1; torch 2.13.0; cuda",
        model_seconds=41.7,
    ),
    DerivativesRequested(
        job_id=_JOB,
        revision=1,
        family="square",
        attempt=1,
        derivation=1,
        spec_key=spec_key(_JOB, 1),
        images=(_RENDER,),
        subject=Subject(safe_zone=Box(left=0.25, top=0.1, right=0.75, bottom=0.8)),
    ),
    DerivativesRendered(
        job_id=_JOB,
        revision=1,
        family="square",
        attempt=1,
        errors=(_FILTERED,),
        images=(
            DerivedImage(
                index=0,
                files=(
                    DerivedFile(
                        name="square",
                        key=f"{_FOLDER}/square.webp",
                        size=_MASTER_SIZE,
                        format=ImageFormat.WEBP,
                        byte_count=182_044,
                        digest=_PIXELS,
                        crop=_CROP,
                    ),
                ),
                detection=_DETECTION,
            ),
        ),
        encode_seconds=0.8,
    ),
    FamilyPublished(
        job_id=_JOB,
        revision=1,
        family="square",
        attempt=1,
        errors=(_FILTERED,),
        images=(
            PublishedFiles(
                index=0,
                files=(
                    PublishedFile(
                        name="square",
                        key=_MASTER_KEY,
                        size=_MASTER_SIZE,
                        format=ImageFormat.WEBP,
                        byte_count=182_044,
                        digest=_PIXELS,
                        crop=_CROP,
                    ),
                ),
                detection=_DETECTION,
            ),
        ),
    ),
    StageFailed(
        job_id=_JOB,
        revision=1,
        family="landscape",
        attempt=1,
        stage=Stage.GENERATING,
        code=FailureCode.DEADLINE_EXCEEDED,
        message=_SLOW,
        image_indexes=(0, 1),
        support_id="4f9a1c7e",
    ),
    ProviderCallback(provider="midjourney", inbox_id="01948f2e-7d10-7c55-8a02-1b3e5d7f9a0c", task_reference="task-42"),
    ObjectsDiscarded(job_id=_JOB, keys=(_MASTER_KEY,)),
    Progress(job_id=_JOB, revision=1, family="square", attempt=1, index=0, step=12, steps=30),
    JobChanged(job_id=_JOB, version=7),
    JobCancelled(job_id=_JOB, revision=1),
    ModelHealth(reporter="generator-0", model="sdxl", is_available=True, response_seconds=0.21, checked_at=_AT),
    DescribePrompts(),
    EnhancePrompt(intent="homepage category card", prompt="simple saas ui", budget_seconds=1.5),
    ProposeSubjects(caller=_CALLER, call=_CALL, topic="autumn in the city", count=5, budget_seconds=25),
    ReadSubjectsHistory(caller=_CALLER),
    ForgetSubjects(caller=_CALLER),
    WritePrompts(caller=_CALLER, call=_CALL, subjects=(_SUBJECT,), style="analogue film", budget_seconds=25),
    ListPrompts(caller=_CALLER, status="approved"),
    GetPrompt(caller=_CALLER, prompt_id=_PROMPT.id),
    ChangePrompt(caller=_CALLER, prompt_id=_PROMPT.id, if_version=2, status="used"),
    RetitlePrompt(caller=_CALLER, call=_CALL, prompt_id=_PROMPT.id, budget_seconds=25),
    RemovePrompt(caller=_CALLER, prompt_id=_PROMPT.id),
    PromptsDescribed(
        service_version="0.1.0",
        source="model",
        model="gpt-4.1-mini",
        statuses=("draft", "approved", "used", "rejected"),
    ),
    PromptEnhanced(
        final_prompt="A clean category card of a modern SaaS homepage, soft daylight, generous white space",
        source=Source.MODEL,
    ),
    SubjectsProposed(turn=_TURN),
    SubjectsHistory(turns=(_TURN,)),
    SubjectsForgotten(count=1),
    PromptsWritten(prompts=(_PROMPT,)),
    PromptPage(prompts=(_PROMPT,)),
    PromptShown(prompt=_PROMPT),
    PromptRemoved(),
    RequestRefused(
        message="The language model asks for a pause.",
        retryable=True,
        code=Refusal.RATE_LIMITED,
        retry_after_seconds=12,
    ),
)

EXAMPLES: Final = MappingProxyType({type(example): example for example in _ALL})


def example_envelope(message: type[Message]) -> Envelope:
    """The example of this message on its way. Of the events, each has the place that it could have in one job."""
    envelope = Envelope.wrap(
        EXAMPLES[message],
        message_id=event_id(_JOB, list(MESSAGE_TYPES.values()).index(message) + 1),
        source="imagetron/prompt" if message in RPC else "imagetron/gateway",
        time=_AT,
        job_id=None if message in RPC else _JOB,
    )
    return envelope.model_copy(update={"sequence": EVENTS.index(message) + 1 if message in EVENTS else None})
