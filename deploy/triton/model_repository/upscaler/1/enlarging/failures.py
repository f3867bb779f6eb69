"""What can go wrong with one picture, as callers see it: a code word and a sentence that names the value and the way out."""


class Failed(Exception):
    """A request ends without a picture. `code` is one of the words of the protocol (deploy/triton/README.md)."""

    code = "INTERNAL"


class Refused(Failed, ValueError):
    """The request cannot be served as asked, here or elsewhere."""

    code = "INVALID_ARGUMENT"


class OutOfMemory(Failed):
    """Not even a small tile fits into the memory that is free."""

    code = "RESOURCE_EXHAUSTED"


class Cancelled(Failed):
    """The caller does not want it any more."""

    code = "CANCELLED"
