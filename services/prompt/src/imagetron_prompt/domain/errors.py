"""Why a request is not carried out, as far as the service itself decides that. No sentence holds any text of a request."""


class NotCarriedOut(Exception):
    """The request was refused, or is answered elsewhere. The message is a sentence for the caller."""


class Invalid(NotCarriedOut):
    """The request is not acceptable. `field` is the name that its caller wrote."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotFound(NotCarriedOut):
    """There is no such thing for this caller."""


class Changed(NotCarriedOut):
    """The document has another version than the caller read; nothing was changed."""


class KeyReused(NotCarriedOut):
    """The call's id was used before, for another request; nothing was paid for."""


class StillRunning(NotCarriedOut):
    """The same call is under way."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__("the same call is still under way; ask again later")
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(NotCarriedOut):
    """The call was paid for as often as is allowed, and no answer of it was kept."""
