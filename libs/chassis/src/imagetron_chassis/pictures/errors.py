"""Why a picture could not be read. The sentences describe the picture and quote nothing of it."""

from imagetron_chassis.errors import Permanent, ResourceExhausted, Transient
from imagetron_contracts.failures import FailureCode


class PictureUnreadable(Permanent):
    """No still picture in PNG, JPEG or WebP, or a broken one."""

    failure_code = FailureCode.RENDER_UNREADABLE


class PictureTooLarge(Permanent):
    """More bytes, pixels or pixels a side than we take."""

    failure_code = FailureCode.RENDER_UNREADABLE


class ReaderDied(ResourceExhausted):
    """The process that read the picture crashed, was killed or ran out of memory or time. A new one takes its place."""

    failure_code = FailureCode.OUT_OF_MEMORY


class ReaderTooSlow(ResourceExhausted):
    """The picture took longer than it may; its process was killed, and a new one takes its place."""

    failure_code = FailureCode.DEADLINE_EXCEEDED


class ReaderCannotStart(Transient):
    """No process can be started now: the machine is out of processes or memory, or the reader has been stopped."""
