"""The token in a provider's callback URL: proves, without a lookup, that we handed the URL out for this very task.

`<reference>.<tag>`: the reference is a UUID's 32 hexadecimal digits, the tag the first 128 bits of HMAC-SHA256 (RFC 2104) over
provider and reference, in base64url. Whoever makes URLs and whoever takes callbacks share the secret.
"""

import base64
import hashlib
import hmac
import re
from typing import Final

_TAG_BYTES: Final = 16
_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{22})")
MINIMUM_SECRET_BYTES: Final = 24


class CallbackTokens:
    """Signs and checks. `secrets` in order of preference: the first signs, all of them check, so that one can be replaced."""

    def __init__(self, *secrets: str) -> None:
        if not secrets or any(len(secret.encode()) < MINIMUM_SECRET_BYTES for secret in secrets):
            raise ValueError(f"a callback secret needs at least {MINIMUM_SECRET_BYTES} bytes")
        self._secrets = tuple(secret.encode() for secret in secrets)

    def token(self, provider: str, reference: str) -> str:
        """For a task's reference: 32 hexadecimal digits."""
        return f"{reference}.{_tag(self._secrets[0], provider, reference)}"

    def reference(self, provider: str, token: str) -> str | None:
        """The task that the token was made for; None if we did not make it for this provider."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        reference, tag = found.groups()
        good = [hmac.compare_digest(tag, _tag(secret, provider, reference)) for secret in self._secrets]
        return reference if any(good) else None


def _tag(secret: bytes, provider: str, reference: str) -> str:
    digest = hmac.new(secret, f"{provider}\0{reference}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:_TAG_BYTES]).rstrip(b"=").decode()
