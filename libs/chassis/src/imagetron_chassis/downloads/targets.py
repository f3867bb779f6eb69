"""An address taken apart, strictly: what two readers could read differently is refused. Nothing is resolved here."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urljoin

import idna

from imagetron_chassis.downloads.addresses import IPAddress, dotted, is_numeric
from imagetron_chassis.downloads.errors import DownloadRefused

MAX_URL_CHARACTERS: Final = 8192
"""Signed addresses of object stores have one to four thousand."""
DEFAULT_PORTS: Final = {"https": 443, "http": 80}

# Spaces, control characters and the backslash: readers strip, cut or turn them.
_AMBIGUOUS: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff]")
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)")
_AUTHORITY: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]%@]+))(?::(?P<port>[1-9][0-9]{0,4}))?")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to fetch from. `host` is a name of ASCII letters in lower case without a dot at its end, or an address's text."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    """With its query, which may hold a token."""
    address: IPAddress | None = None
    """The host, if it is one."""

    @property
    def authority(self) -> str:
        """As the Host header wants it."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Raises DownloadRefused, whose sentence quotes nothing of an address that cannot be read."""
    _check_text(url)
    parts = _URL.fullmatch(url)
    if parts is None:
        raise DownloadRefused("the address of the picture is no absolute address without a fragment")
    scheme = parts["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise DownloadRefused("the address of the picture has a scheme other than https")
    if not parts["rest"].isascii():
        raise DownloadRefused("the path of the picture's address is not percent-encoded")
    if "@" in parts["authority"]:
        raise DownloadRefused("the address of the picture carries credentials")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise DownloadRefused("the address of the picture has no host that everybody reads alike")
    host, address = _bracketed(authority["v6"]) if authority["v6"] else _named(authority["name"])
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    rest = parts["rest"]
    return Target(scheme, host, port, rest if rest.startswith("/") else f"/{rest}", address)


def redirected(origin: Target, location: str) -> Target:
    """Where an answer of `origin` sends us. Never from https to plain http. Raises DownloadRefused."""
    # First, because the join drops line breaks and tabs without a word.
    _check_text(location)
    try:
        joined = urljoin(f"{origin.scheme}://{origin.authority}{origin.path}", location)
    except ValueError:
        raise DownloadRefused(f"{origin.host} redirects to an address that cannot be read") from None
    target = target_of(joined)
    if (origin.scheme, target.scheme) == ("https", "http"):
        raise DownloadRefused(f"{origin.host} redirects from https to plain http")
    return target


def _check_text(url: str) -> None:
    if len(url) > MAX_URL_CHARACTERS:
        raise DownloadRefused(f"the address of the picture has more than {MAX_URL_CHARACTERS} characters")
    if _AMBIGUOUS.search(url):
        raise DownloadRefused("the address of the picture holds spaces, control characters or backslashes")


def _bracketed(text: str) -> tuple[str, IPAddress]:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise DownloadRefused("the address of the picture has an IPv6 address that cannot be read") from None
    return str(address), address


def _named(text: str) -> tuple[str, IPAddress | None]:
    """Normalised as UTS #46 says, so that what looks like a dot or a digit is one, and letters, digits and hyphens are all."""
    try:
        host = idna.encode(text, uts46=True, std3_rules=True).decode().lower().removesuffix(".")
    except UnicodeError:
        raise DownloadRefused("the address of the picture has a host that is no name in the DNS") from None
    if not is_numeric(host):
        return host, None
    address = dotted(host)
    if address is None:
        raise DownloadRefused("the address of the picture has an IPv4 address that is not written as four numbers")
    return host, address
