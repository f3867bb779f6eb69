"""What a provider's callback must be: signed where its provider signs, a JSON object, and the same event each time it comes.

Signatures are those of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, in base64. No I/O, no clock.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NoReturn

from imagetron_gateway.domain.job import OutboxEntry

MAX_BODY_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
# How far the sender's clock may be off, and how long a recorded delivery can be sent again.
TOLERANCE: Final = timedelta(minutes=5)
# Without a dot: the parts of the signed text can then be told apart in one way only.
_EVENT_ID: Final = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_SCHEME: Final = "v1,"
_KEY_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
# A text that never ends is read to the end, once: starting again at each of its quotes would take for ever.
_TEXTS_AND_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_INBOX: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "inbox.imagetron")

Signers = Mapping[str, Sequence[bytes]]
"""The providers that may call back, each with the keys that it signs with. None: it does not sign."""


class NotSigned(Exception):
    """The provider signs what it sends, and this it has not signed, or not now. The sentence quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The three headers as they came; None for one that did not come, or not once."""

    event_id: str | None = None
    timestamp: str | None = None
    signatures: str | None = None
    """Separated by spaces, each `v1,<base64>`: more than one while the provider replaces its key."""

    def check(self, body: bytes, keys: Sequence[bytes], now: datetime) -> str:
        """The provider's own id of the event. Raises NotSigned. Takes the same time however much of a signature is right."""
        if self.event_id is None or self.timestamp is None or self.signatures is None:
            raise NotSigned("send webhook-id, webhook-timestamp and webhook-signature, each once")
        if not _EVENT_ID.fullmatch(self.event_id):
            raise NotSigned("webhook-id: use 1 to 200 printable ASCII characters, none of them a dot")
        if not _SECONDS.fullmatch(self.timestamp):
            raise NotSigned("webhook-timestamp: use whole seconds since 1970")
        if abs(int(self.timestamp) - now.timestamp()) > TOLERANCE.total_seconds():
            raise NotSigned(f"webhook-timestamp: is more than {TOLERANCE.total_seconds():g} s off")
        signed = b".".join((self.event_id.encode(), self.timestamp.encode(), body))
        given = [item.removeprefix(_SCHEME).encode() for item in self.signatures.split() if item.startswith(_SCHEME)]
        # Each with each, to the end.
        matches = [hmac.compare_digest(item, expected) for expected in _expected(signed, keys) for item in given]
        if not any(matches):
            raise NotSigned("webhook-signature: none of them is right")
        return self.event_id


def _expected(signed: bytes, keys: Sequence[bytes]) -> list[bytes]:
    return [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]


@dataclass(frozen=True, slots=True)
class Callback:
    """One delivery whose token, and signature where there must be one, were found right."""

    provider: str
    task_reference: str
    event: str
    """The same for the same event, however often it is delivered."""
    body: bytes = field(repr=False)
    is_signed: bool = False

    @property
    def inbox_id(self) -> str:
        """Follows from provider and event alone."""
        return str(uuid.uuid5(_INBOX, f"{self.provider}/{self.event}"))

    @classmethod
    def of(
        cls,
        provider: str,
        task_reference: str,
        body: bytes,
        *,
        signature: Signature,
        keys: Sequence[bytes],
        now: datetime,
    ) -> "Callback":
        """A delivery of a provider with these keys. Raises NotSigned.

        Signed, an event is what the provider calls by one id; unsigned, it is the same bytes for the same task.
        """
        if keys:
            return cls(provider, task_reference, "id:" + signature.check(body, keys, now), body, is_signed=True)
        digest = hashlib.sha256(task_reference.encode() + b"\0" + body).hexdigest()
        return cls(provider, task_reference, "sha256:" + digest, body)


@dataclass(frozen=True, slots=True)
class InboxItem:
    """What is kept of a callback beside its body. The outbox holds the message about it until the broker has confirmed it."""

    id: str
    provider: str
    event: str
    task_reference: str
    is_signed: bool
    received_at: datetime
    outbox: tuple[OutboxEntry, ...] = ()


class NotJson(ValueError):
    """The body is no JSON text."""


def objection_to_body(body: bytes) -> str | None:
    """Why this cannot be a callback's body; None if it can: a JSON object (RFC 8259) of bounded depth. Raises NotJson."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise NotJson("the body is not UTF-8") from error
    # Before the parser, which recurses.
    if _depth(text) > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    try:
        value = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise NotJson("the body is not JSON") from error
    return None if isinstance(value, dict) else "must be a JSON object"


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _TEXTS_AND_BRACKETS.finditer(text):
        if found[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in "]}":
            depth -= 1
    return deepest


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def signers(text: str) -> dict[str, tuple[bytes, ...]]:
    """The providers that a setting names: `midjourney=whsec_new,whsec_old nanobanana`, the latter without signatures.

    Raises ValueError with a sentence that quotes no secret.
    """
    found: dict[str, tuple[bytes, ...]] = {}
    for number, item in enumerate(text.split(), start=1):
        provider, has_secrets, secrets = item.partition("=")
        if not _PROVIDER.fullmatch(provider):
            raise ValueError(f"entry {number} names no provider: use lower-case letters, digits, '-' and '_'")
        if provider in found:
            raise ValueError(f"{provider} is named twice; list its secrets behind one name, separated by commas")
        found[provider] = tuple(_key(provider, secret) for secret in secrets.split(",")) if has_secrets else ()
    return found


def _key(provider: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not secret.startswith(_KEY_PREFIX) or len(key) not in _KEY_BYTES:
        # Without a cause: the parser's own error could quote the secret.
        raise ValueError(f"a secret of {provider} cannot be read: use {_KEY_PREFIX} and 24 to 64 bytes in base64")
    return key
