"""What a person is told in a sentence instead of a traceback. Nothing here is caught to be retried."""


class Trouble(Exception):
    """The command cannot go on; the message says why and what to do about it."""
