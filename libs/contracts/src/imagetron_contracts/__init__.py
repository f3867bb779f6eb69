"""Imagetron's messages, for services and for subscribers. No code lives here, and nothing heavy is imported."""

from imagetron_contracts.envelope import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    MESSAGE_TYPES,
    SCHEMA_URN,
    Envelope,
    UnreadableMessage,
    decode,
)
from imagetron_contracts.events import (
    EVENTS,
    FamilyCompleted,
    FamilyFailed,
    PublishedImage,
    VariationCancelled,
    VariationCompleted,
    VariationEvent,
    VariationFailed,
    VariationPartial,
    VariationStarted,
)
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.families import (
    BUILT_IN_TABLE,
    FAMILIES,
    AmbiguousName,
    Derivative,
    Family,
    FamilyTable,
    PictureName,
    UnknownFamily,
    family_named,
    picture_named,
)
from imagetron_contracts.ids import JobId, event_id, new_job_id
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Message, Value
from imagetron_contracts.topology import Exchange

__all__ = [
    "BUILT_IN_TABLE",
    "CONTENT_TYPE",
    "EVENTS",
    "FAMILIES",
    "MAX_BODY_BYTES",
    "MESSAGE_TYPES",
    "SCHEMA_URN",
    "AmbiguousName",
    "Derivative",
    "Dimensions",
    "Envelope",
    "Exchange",
    "FailureCode",
    "Family",
    "FamilyCompleted",
    "FamilyFailed",
    "FamilyTable",
    "ImageFormat",
    "JobId",
    "Message",
    "PictureName",
    "PublishedImage",
    "Stage",
    "UnknownFamily",
    "UnreadableMessage",
    "Value",
    "VariationCancelled",
    "VariationCompleted",
    "VariationEvent",
    "VariationFailed",
    "VariationPartial",
    "VariationStarted",
    "decode",
    "event_id",
    "family_named",
    "new_job_id",
    "picture_named",
]
