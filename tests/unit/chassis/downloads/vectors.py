"""Addresses that want to lead a download into our own network, and the reason for which each must be refused.

The host of each is on the allow-list, unless it is about the list: so every refusal is another guard's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unit.chassis.downloads.internet import OTHER_PUBLIC, PUBLIC, PUBLIC_V6, ok, redirect

GOOD = "https://good.example/a.png"
LIST = "not among the hosts"
OUTSIDE = "outside the public internet"
SCHEME = "scheme other than https"
CREDENTIALS = "carries credentials"
AMBIGUOUS = "spaces, control characters or backslashes"
NUMBERS = "not written as four numbers"
NO_ADDRESS = "no absolute address"
NO_HOST = "no host that everybody reads alike"
NO_NAME = "no name in the DNS"
NO_V6 = "IPv6 address that cannot be read"
PORT = "not fetched from port"
DOWNGRADE = "from https to plain http"


@dataclass(frozen=True)
class Vector:
    name: str
    url: str
    reason: str
    allowed: tuple[str, ...] = ("good.example", "other.example", ".cdn.example")
    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    pages: Mapping[str, bytes] = field(default_factory=dict)
    visited: tuple[str, ...] = ()
    """Addresses on the internet that may be dialled before the refusal, in this order."""


def _closed(*addresses: str) -> list[Vector]:
    """Each once as a host of its own, and once as what a name leads to."""
    vectors = []
    for address in addresses:
        host = f"[{address}]" if ":" in address else address
        vectors.append(Vector(f"the address {address}", f"https://{host}/a.png", OUTSIDE, allowed=(address,)))
        vectors.append(Vector(f"a name for {address}", GOOD, OUTSIDE, names={"good.example": [[address]]}))
    return vectors


def _written(reason: str, **urls: str) -> list[Vector]:
    return [Vector(name.replace("_", " "), url, reason) for name, url in urls.items()]


def _forms(reason: str, *hosts: str) -> list[Vector]:
    return [Vector(f"the host {host!r}", f"https://{host}/a.png", reason) for host in hosts]


def _led(name: str, location: str, reason: str, *allowed: str, **names: list[list[str]]) -> Vector:
    return Vector(
        f"a redirect {name}",
        GOOD,
        reason,
        allowed=("good.example", "other.example", *allowed),
        names={"good.example": [[PUBLIC]], "other.example": [[OTHER_PUBLIC]], **names},
        pages={"good.example/a.png": redirect(location)},
        visited=(PUBLIC,),
    )


_HOME = {"good.example": [[PUBLIC]]}

VECTORS: list[Vector] = [
    # Addresses that are not on the public internet.
    *_closed(
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - a vector, nobody binds to it
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.254",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.254",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:7f00:1",
        "::ffff:5db8:d70e",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2606:4700::5efe:7f00:1",
        "2606:4700::200:5efe:a00:1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ),
    Vector("an IPv4 address inside IPv6 dots", "https://[::ffff:127.0.0.1]/", OUTSIDE, allowed=("::ffff:7f00:1",)),
    Vector("a long form of loopback", "https://[0:0:0:0:0:0:0:1]/", OUTSIDE, allowed=("::1",)),
    Vector("an address with a zone", GOOD, OUTSIDE, names={"good.example": [["fe80::1%1"]]}),
    Vector("a public address with a zone", GOOD, OUTSIDE, names={"good.example": [[f"{PUBLIC_V6}%1"]]}),
    # Addresses in forms that some readers take for something else.
    *_forms(
        NUMBERS,
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "0x7f.1",
        "0x7f.0.0.1",
        "127.0.0.0x1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.01",
        "127.000.000.001",
        "127.1.",
        "256.256.256.256",
        "1.2.3.4.5",
        "0",
        "0x",
        "good.example.1",
        "127\uff0e1",
        "\uff10\uff58\uff17\uff46.1",
    ),
    Vector("full-width digits", "https://\uff11\uff12\uff17.0.0.1/", OUTSIDE, allowed=("127.0.0.1",)),
    Vector("ideographic dots", "https://127\u30020\u30020\u30021/", OUTSIDE, allowed=("127.0.0.1",)),
    Vector("circled digits", "https://\u2460\u2461\u2466.0.0.\u2460/", OUTSIDE, allowed=("127.0.0.1",)),
    Vector("a dot behind an address", "https://127.0.0.1./", OUTSIDE, allowed=("127.0.0.1",)),
    # Hosts that are none.
    *_forms(
        NO_HOST,
        "",
        ":443",
        "[::1",
        "::1",
        "[::1]evil",
        "[fe80::1%25lo]",
        "[::1%lo]",
        "good.example:",
        "%31%32%37.0.0.1",
    ),
    *_forms(NO_HOST, "good.example:0443", "good.example:-1", "good.example:443:80", "good.example:https"),
    *_forms(NO_V6, "[::1::]", "[12345::]", "[127.0.0.1]", "[::ffff:127.1]", "[.]"),
    *_forms(
        NO_NAME, ".", "..", "good..example", "good.example..", "good_host.example", "*.example", "good.example\u2024"
    ),
    *_forms(NO_NAME, "a" * 64 + ".example", ".".join(["a" * 60] * 5), "xn--.example", "-good.example", "good!.example"),
    # Not on the list, whatever it looks like.
    *_forms(
        LIST,
        "localhost",
        "localhost.",
        "evil.example",
        "good.example.evil.example",
        "evilgood.example",
        "cdn.example",
        "evilcdn.example",
        "g\u043eod.example",
        "metadata.google.internal",
        "127.0.0.1",
        "[::1]",
        PUBLIC,
    ),
    # Addresses that two readers would read differently.
    *_written(
        CREDENTIALS,
        a_user="https://good.example@127.0.0.1/",
        a_user_and_a_password="https://good.example:443@127.0.0.1/",
        two_at_signs="https://a@good.example@127.0.0.1/",
        an_empty_user="https://@good.example/a.png",
        a_password_alone="https://:secret@good.example/a.png",
    ),
    *_written(
        AMBIGUOUS,
        a_backslash="https://good.example\\@127.0.0.1/",
        a_backslash_for_a_slash="https:\\\\127.0.0.1\\a.png",
        a_tab_in_the_host="https://127.0.0.1\t.good.example/",
        a_line_break="https://good.example/\r\nHost: 127.0.0.1",
        a_newline_in_the_scheme="ht\ntps://good.example/",
        a_space_before=" https://good.example/a.png",
        a_space_after="https://good.example/a.png ",
        a_space_in_the_path="https://good.example/a b.png",
        a_null="https://good.example\0.evil.example/",
        a_delete="https://good.example/\x7f",
        a_no_break_space="https://good.example/\xa0a.png",
        a_byte_order_mark="\ufeffhttps://good.example/a.png",
    ),
    *_written(
        NO_ADDRESS,
        nothing="",
        a_word="picture",
        a_path="/a.png",
        no_scheme="//good.example/a.png",
        one_slash="https:/good.example/a.png",
        no_slash="https:good.example",
        a_fragment="https://good.example/a.png#b",
        a_fragment_for_a_host="https://good.example#@127.0.0.1/",
        a_fragment_as_credentials="https://127.0.0.1#@good.example/",
        data="data:image/png;base64,iVBORw0KGgo=",
        javascript="javascript:alert(1)",
    ),
    *_written(
        SCHEME,
        ftp="ftp://good.example/a.png",
        gopher="gopher://good.example:11211/_stats",
        file="file:///etc/passwd",
        file_with_a_host="file://good.example/etc/passwd",
        ldap="ldap://good.example/",
        dict_="dict://good.example:11211/stats",
        jar="jar://good.example/",
        websocket="wss://good.example/",
    ),
    Vector("a path in letters", "https://good.example/\xe9.png", "not percent-encoded"),
    Vector("an address without end", "https://good.example/" + "a" * 8192, "more than 8192 characters"),
    Vector("plain http", "http://good.example/a.png", "by https only"),
    Vector("plain http on the port of https", "http://good.example:443/a.png", "by https only"),
    *(Vector(f"port {port}", f"https://good.example:{port}/", PORT) for port in (22, 80, 6379, 8443, 65535, 99999)),
    # What the DNS says.
    Vector(
        "a bad address among good ones", GOOD, OUTSIDE, names={"good.example": [[PUBLIC, "10.0.0.1", OTHER_PUBLIC]]}
    ),
    Vector("a bad IPv6 address beside a good IPv4 one", GOOD, OUTSIDE, names={"good.example": [[PUBLIC, "::1"]]}),
    Vector("a wildcard's name inside", "https://a.b.cdn.example/", OUTSIDE, names={"a.b.cdn.example": [["10.1.2.3"]]}),
    Vector("a name without an address", GOOD, "has no address", names={"good.example": [[]]}),
    Vector("a name that does not exist", GOOD, "cannot be resolved"),
    Vector("an allowed localhost", "https://localhost/", OUTSIDE, ("localhost",), {"localhost": [["127.0.0.1"]]}),
    Vector(
        "a name that leads home at the second lookup",
        GOOD,
        OUTSIDE,
        names={"good.example": [[PUBLIC], ["127.0.0.1"]]},
        pages={"good.example/a.png": redirect("/again.png")},
        visited=(PUBLIC,),
    ),
    # Where answers send us.
    _led("to the metadata service by http", "http://169.254.169.254/latest/meta-data/", DOWNGRADE, "169.254.169.254"),
    _led("to the metadata service", "https://169.254.169.254/latest/meta-data/", OUTSIDE, "169.254.169.254"),
    _led("to a host not on the list", "https://evil.example/a.png", LIST),
    _led("to loopback", "https://127.0.0.1/a.png", OUTSIDE, "127.0.0.1"),
    _led("to a short form of loopback", "https://127.1/a.png", NUMBERS),
    _led("to loopback in IPv6", "https://[::1]/a.png", OUTSIDE, "::1"),
    _led(
        "to a name that leads inside", "https://bad.example/", OUTSIDE, "bad.example", **{"bad.example": [["10.0.0.1"]]}
    ),
    _led("from https to http", "http://good.example/a.png", DOWNGRADE),
    _led("to another host by http", "http://other.example/a.png", DOWNGRADE),
    _led("to another host without a scheme", "//evil.example/a.png", LIST),
    _led("to another port", "https://good.example:8443/a.png", PORT),
    _led("to ftp", "ftp://good.example/a.png", SCHEME),
    _led("to gopher", "gopher://127.0.0.1:6379/_FLUSHALL", SCHEME),
    _led("to a file", "file:///etc/passwd", SCHEME),
    _led("to data", "data:image/png;base64,iVBORw0KGgo=", NO_ADDRESS),
    _led("with credentials", "https://good.example@127.0.0.1/", CREDENTIALS),
    _led("with a backslash", "/\\127.0.0.1/a.png", AMBIGUOUS),
    _led("with a tab", "https://127.0.0.1\t/a.png", AMBIGUOUS),
    _led("with a fragment", "https://other.example/a.png#b", NO_ADDRESS),
    _led("in letters", "https://other.example/\xe9.png", "not percent-encoded"),
    _led("that cannot be joined", "https://[good.example/", "cannot be read"),
    _led("without end", "https://other.example/" + "a" * 9000, "more than 8192 characters"),
    Vector(
        "a loop of redirects",
        GOOD,
        "redirects more than 3 times",
        names=_HOME,
        pages={"good.example/a.png": redirect("/a.png")},
        visited=(PUBLIC,) * 4,
    ),
    Vector(
        "a loop between two hosts",
        GOOD,
        "redirects more than 3 times",
        names={**_HOME, "other.example": [[OTHER_PUBLIC]]},
        pages={
            "good.example/a.png": redirect("https://other.example/b.png"),
            "other.example/b.png": redirect(GOOD, 307),
        },
        visited=(PUBLIC, OTHER_PUBLIC) * 2,
    ),
    Vector(
        "a chain of four redirects",
        GOOD,
        "redirects more than 3 times",
        names=_HOME,
        pages={
            "good.example/a.png": redirect("/1", 301),
            "good.example/1": redirect("/2", 303),
            "good.example/2": redirect("/3", 307),
            "good.example/3": redirect("/4", 308),
            "good.example/4": ok(),
        },
        visited=(PUBLIC,) * 4,
    ),
    Vector(
        "a chain that ends inside",
        GOOD,
        OUTSIDE,
        names={**_HOME, "other.example": [[OTHER_PUBLIC]], "in.cdn.example": [["192.168.1.1"]]},
        pages={
            "good.example/a.png": redirect("https://other.example/b.png"),
            "other.example/b.png": redirect("https://in.cdn.example/c.png"),
        },
        visited=(PUBLIC, OTHER_PUBLIC),
    ),
]
