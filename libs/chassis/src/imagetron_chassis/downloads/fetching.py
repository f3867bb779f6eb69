"""One GET that cannot be led astray: each hop is checked, resolved once, and connected to the very address that was checked.

A new connection for every hop, no cookies, no proxy, nothing from the environment, no content encoding, no retry.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpcore
from opentelemetry import trace

from imagetron_chassis.downloads.addresses import IPAddress, is_global
from imagetron_chassis.downloads.dialing import Dialer, Pinned, SystemDialer
from imagetron_chassis.downloads.errors import (
    DownloadDenied,
    DownloadFailed,
    DownloadGone,
    DownloadRefused,
    DownloadsBusy,
    DownloadTooLarge,
    NotAPicture,
)
from imagetron_chassis.downloads.resolving import Resolver, SystemResolver
from imagetron_chassis.downloads.rules import DownloadRules
from imagetron_chassis.downloads.targets import Target, redirected, target_of
from imagetron_chassis.pictures.signatures import SIGNATURE_BYTES, SOURCE_FORMATS, format_of
from imagetron_contracts.media import ImageFormat

_REDIRECTS: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
_LONGEST_WAIT_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file as it came. Its format is what its first bytes say, and no more: nothing has been decoded."""

    data: bytes = field(repr=False)
    format: ImageFormat
    digest: str
    """SHA-256 of the data, hexadecimal."""

    @property
    def content_type(self) -> str:
        return self.format.content_type


class GuardedDownloads:
    """Fetches pictures from the hosts that the rules name, if these names lead to the public internet.

    Errors: DownloadRefused, DownloadDenied, DownloadGone, DownloadTooLarge, NotAPicture (Permanent); DownloadsBusy
    (RateLimited); DownloadFailed (Transient).
    """

    def __init__(
        self,
        rules: DownloadRules,
        *,
        resolver: Resolver | None = None,
        dialer: Dialer | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._resolver = resolver or SystemResolver()
        self._dialer = dialer or SystemDialer()
        self._tls = tls or httpcore.default_ssl_context()

    async def fetch(self, url: str) -> Downloaded:
        target = target_of(url)
        try:
            with trace.get_tracer(__name__).start_as_current_span("download picture"):
                async with asyncio.timeout(self._rules.total_deadline_seconds):
                    return await self._followed(target)
        except TimeoutError:
            seconds = self._rules.total_deadline_seconds
            raise DownloadFailed(f"the picture did not come from {target.host} within {seconds:g} s") from None

    async def _followed(self, target: Target) -> Downloaded:
        first = target
        for _ in range(self._rules.max_redirects + 1):
            outcome = await self._visit(target)
            if isinstance(outcome, Downloaded):
                return outcome
            target = outcome
        raise DownloadRefused(f"{first.host} redirects more than {self._rules.max_redirects} times")

    async def _visit(self, target: Target) -> Downloaded | Target:
        self._rules.check(target)
        addresses = await self._addresses(target)
        network = Pinned(self._dialer, addresses, seconds_each=self._rules.connect_seconds)
        request = _request(target, self._rules.connect_seconds)
        try:
            async with (
                aclosing(network),
                httpcore.AsyncHTTPConnection(request.url.origin, self._tls, network_backend=network) as connection,
                aclosing(await connection.handle_async_request(request)) as response,
            ):
                return await self._answer(target, response)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
                raise DownloadFailed(f"the certificate of {target.host} does not prove its name") from None
            what = type(error).__name__
            raise DownloadFailed(f"the connection for a picture to {target.host} failed ({what})") from None

    async def _addresses(self, target: Target) -> Sequence[IPAddress]:
        """All of them, each on the public internet. Nobody asks for the name again after this."""
        if target.address is not None and self._rules.is_loopback_double(target):
            return [target.address]
        try:
            found = [target.address] if target.address else await self._resolver.resolve(target.host)
        except OSError:
            raise DownloadFailed(f"the name {target.host} cannot be resolved") from None
        if not found:
            raise DownloadFailed(f"the name {target.host} has no address")
        if not all(map(is_global, found)):
            raise DownloadRefused(f"{target.host} leads to an address outside the public internet")
        return found

    async def _answer(self, target: Target, response: httpcore.Response) -> Downloaded | Target:
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        status = response.status
        if status in _REDIRECTS and b"location" in headers:
            return redirected(target, headers[b"location"])
        if status == HTTPStatus.OK:
            return await self._picture(target.host, headers, response)
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            raise DownloadGone(f"{target.host} has the picture no more (HTTP {status})")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = _wait_seconds(headers.get(b"retry-after", ""))
            raise DownloadsBusy(f"{target.host} asks us to slow down (HTTP {status})", retry_after_seconds=wait)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
            raise DownloadFailed(f"{target.host} cannot give the picture now (HTTP {status})")
        if status >= HTTPStatus.BAD_REQUEST:
            raise DownloadDenied(f"{target.host} does not give us the picture (HTTP {status})")
        raise NotAPicture(f"{target.host} answers with HTTP {status} and no picture")

    async def _picture(self, host: str, headers: dict[bytes, str], response: httpcore.Response) -> Downloaded:
        most = self._rules.max_bytes
        too_large = DownloadTooLarge(f"the picture from {host} has more than {most} bytes")
        if headers.get(b"content-encoding", "identity").strip().lower() != "identity":
            # A compressed body could unpack to any size, and pictures are compressed already.
            raise DownloadRefused(f"{host} sends the picture with a content encoding, which was not asked for")
        if int(headers.get(b"content-length", "0")) > most:
            raise too_large
        body = bytearray()
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > most:
                raise too_large
            if len(body) >= SIGNATURE_BYTES:
                _format(host, body)
        return Downloaded(bytes(body), _format(host, body), hashlib.sha256(body).hexdigest())


def _request(target: Target, connect_seconds: float) -> httpcore.Request:
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    headers = [
        ("host", target.authority),
        ("accept", ", ".join(form.content_type for form in SOURCE_FORMATS)),
        ("accept-encoding", "identity"),
        ("user-agent", "imagetron"),
        ("connection", "close"),
    ]
    return httpcore.Request("GET", url, headers=headers, extensions={"timeout": {"connect": connect_seconds}})


def _format(host: str, body: bytearray) -> ImageFormat:
    form = format_of(body)
    if form is None:
        raise NotAPicture(f"what {host} sends is no PNG, JPEG or WebP file")
    return form


def _wait_seconds(retry_after: str) -> float | None:
    """Seconds alone: dates would need the host's clock."""
    # Not isdigit(), which takes other scripts' digits and superscripts too.
    if not (retry_after.isascii() and retry_after.isdecimal()):
        return None
    return float(min(int(retry_after[:9]), _LONGEST_WAIT_SECONDS))
