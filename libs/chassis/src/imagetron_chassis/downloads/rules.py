"""What may be fetched: which hosts, on which ports, how much and for how long. Values alone; fetching enforces them."""

from dataclasses import dataclass
from typing import Final

from imagetron_chassis.downloads.errors import DownloadRefused
from imagetron_chassis.downloads.targets import Target, target_of

# A suffix of one label (".com") would be no list at all.
_FEWEST_LABELS_OF_A_SUFFIX: Final = 2


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """Refuses everything that is not named. Raises ValueError for a list that cannot mean what it says.

    `allowed_hosts`: names as in the DNS ("cdn.provider.example"), every name under a domain by a leading dot
    (".provider.example", which is not the domain itself), or single addresses of the public internet ("93.184.215.14").
    """

    allowed_hosts: tuple[str, ...]
    ports: frozenset[int] = frozenset({443})
    max_bytes: int = 25 << 20
    total_deadline_seconds: float = 60.0
    """From the call to the last byte, all redirects and lookups included."""
    connect_seconds: float = 10.0
    """For one address to take the connection, and again for TLS."""
    max_redirects: int = 3
    dangerously_allow_plain_http_on_loopback: tuple[str, ...] = ()
    """For development and tests: "127.0.0.1:8080" and the like may be fetched from without TLS. Empty in production."""

    def __post_init__(self) -> None:
        for pattern in self.allowed_hosts:
            _check_pattern(pattern)
        for place in self.dangerously_allow_plain_http_on_loopback:
            target = _read(f"http://{place}/", place)
            if target.address is None or not target.address.is_loopback or target.authority != place:
                raise ValueError(f"{place!r} is not a loopback address and a port, such as '127.0.0.1:8080'")
        if min(self.max_bytes, self.total_deadline_seconds, self.connect_seconds) <= 0 or self.max_redirects < 0:
            raise ValueError("the limits of a download are positive numbers")

    def is_loopback_double(self, target: Target) -> bool:
        """Whether this is one of the places that are allowed for development and tests alone."""
        return target.scheme == "http" and target.authority in self.dangerously_allow_plain_http_on_loopback

    def check(self, target: Target) -> None:
        """Raises DownloadRefused unless host, scheme and port are allowed. Says nothing yet about where the name leads."""
        if self.is_loopback_double(target):
            return
        if not any(_matches(pattern, target) for pattern in self.allowed_hosts):
            raise DownloadRefused(f"{target.host} is not among the hosts that pictures may come from")
        if target.scheme != "https":
            raise DownloadRefused(f"pictures are fetched from {target.host} by https only")
        if target.port not in self.ports:
            raise DownloadRefused(f"pictures are not fetched from port {target.port} of {target.host}")


def _matches(pattern: str, target: Target) -> bool:
    if pattern.startswith("."):
        return target.address is None and target.host.endswith(pattern)
    return target.host == pattern


def _check_pattern(pattern: str) -> None:
    name = pattern.removeprefix(".")
    target = _read(f"https://[{name}]/" if ":" in name else f"https://{name}/", pattern)
    if target.host != name:
        raise ValueError(f"{pattern!r} in the list of hosts is not in its normal form: write {target.host!r}")
    labels = name.count(".") + 1
    if pattern.startswith(".") and (target.address is not None or labels < _FEWEST_LABELS_OF_A_SUFFIX):
        raise ValueError(f"{pattern!r} in the list of hosts would allow too much")


def _read(url: str, what: str) -> Target:
    try:
        return target_of(url)
    except DownloadRefused as error:
        raise ValueError(f"{what!r} in the rules for downloads is not a host: {error}") from None
