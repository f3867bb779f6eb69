"""Which network addresses belong to the public internet. Everything else is ours, a neighbour's or nobody's.

Sources: the IANA special-purpose address registries for IPv4 and IPv6, and RFC 6890. Older Pythons know only some of their
entries, so they are written out; `ipaddress` is asked as well, for what it learns later.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

IPAddress = IPv4Address | IPv6Address

_CLOSED_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers' shared space, and clouds' services
            "127.0.0.0/8",
            "168.63.129.16/32",  # public by its number, but a cloud's own service to its virtual machines
            "169.254.0.0/16",  # link-local, and most clouds' metadata service
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays from IPv6, deprecated
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, with the broadcast address
        ),
    )
)
_UNICAST_V6: Final = IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",  # documentation
        ),
    )
)
# RFC 6052: a translator's name for the IPv4 address in its last 32 bits. Networks without IPv4 need it.
_NAT64: Final = IPv6Network("64:ff9b::/96")
# RFC 5214: the last 32 bits are an IPv4 address, which a tunnel would deliver to.
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})

_DOTTED: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_NUMERIC: Final = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)


def is_global(address: IPAddress) -> bool:
    """Whether it is one host on the public internet, reached without a tunnel that hides another address."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _CLOSED_V4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return is_global(IPv4Address(int(address) & 0xFFFF_FFFF))
    return (
        address in _UNICAST_V6
        and address.is_global
        and not any(address in network for network in _CLOSED_V6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )


def is_numeric(host: str) -> bool:
    """Whether some reader would take the name for an IPv4 address: 127.1, 2130706433, 0x7f.1. WHATWG's URL standard draws
    the line like this: the last label is a number.
    """
    return _NUMERIC.fullmatch(host.rpartition(".")[2]) is not None


def dotted(host: str) -> IPv4Address | None:
    """The address, if it is written in the one form that everybody reads alike."""
    if _DOTTED.fullmatch(host) is None:
        return None
    try:
        return IPv4Address(host)
    except ValueError:  # above 255, or a leading zero, which some read as octal
        return None
