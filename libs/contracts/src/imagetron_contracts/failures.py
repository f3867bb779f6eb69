"""Why a family or an image failed, as callers see it. No exceptions."""

from enum import StrEnum


class FailureCode(StrEnum):
    """Stable words: programs may switch on them. `is_retryable` says whether asking again can help."""

    MODEL_REFUSED = "model_refused"
    MODEL_UNAVAILABLE = "model_unavailable"
    OUT_OF_MEMORY = "out_of_memory"
    CONTENT_FILTERED = "content_filtered"
    QUOTA_EXCEEDED = "quota_exceeded"
    RENDER_UNREADABLE = "render_unreadable"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    WORK_LOST = "work_lost"
    CANCELLED = "cancelled"
    INTERNAL = "internal"

    @property
    def is_retryable(self) -> bool:
        return self not in {FailureCode.MODEL_REFUSED, FailureCode.CONTENT_FILTERED, FailureCode.CANCELLED}


class Stage(StrEnum):
    """Where in its way a family was."""

    GENERATING = "generating"
    DERIVING = "deriving"
    PUBLISHING = "publishing"
