"""What can go wrong with one order, as callers see it: a code word and a sentence that names the value and the way out."""


class Failed(Exception):
    """An order ends without pictures. `code` is one of the words of the protocol (deploy/triton/README.md)."""

    code = "INTERNAL"


class Refused(Failed, ValueError):
    """The order cannot be served as asked, here or elsewhere."""

    code = "INVALID_ARGUMENT"


class Unavailable(Failed):
    """This server cannot serve the order now: the checkpoint is not there or does not load."""

    code = "UNAVAILABLE"


class OutOfMemory(Failed):
    """The order is larger than the memory that is free."""

    code = "RESOURCE_EXHAUSTED"


class Filtered(Failed):
    """The classifier withholds the pictures."""

    code = "CONTENT_FILTERED"


class Cancelled(Failed):
    """The caller does not want it any more."""

    code = "CANCELLED"
