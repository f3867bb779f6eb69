"""Why a download came to nothing. The sentences name the host and the rule; never a path or a query, which may hold a token."""

from imagetron_chassis.errors import Permanent, RateLimited, Transient
from imagetron_contracts.failures import FailureCode


class DownloadRefused(Permanent):
    """We do not fetch from there: the address, the host, its network address or its way of answering is against the rules."""


class DownloadDenied(Permanent):
    """The host does not let us have it: a status of 400 to 499 that says neither that it is gone nor that we should wait."""


class DownloadGone(Permanent):
    """The host has it no more: 404 or 410."""

    failure_code = FailureCode.WORK_LOST


class DownloadTooLarge(Permanent):
    """More bytes than we take."""

    failure_code = FailureCode.RENDER_UNREADABLE


class NotAPicture(Permanent):
    """What came is no PNG, JPEG or WebP file."""

    failure_code = FailureCode.RENDER_UNREADABLE


class DownloadsBusy(RateLimited):
    """The host asks us to slow down (429); `retry_after_seconds` is what it asked for, if it said."""


class DownloadFailed(Transient):
    """No picture for now: no such name, no connection, a broken or slow answer, a status of 500 and more."""
