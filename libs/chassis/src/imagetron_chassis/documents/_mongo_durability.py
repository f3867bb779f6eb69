"""Whether a MongoDB deployment keeps what it has acknowledged: decided from its URL and its own answers. No driver."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

# What an option of the URL must say where it says anything, and why. Our own options win over the URL's; but an operator
# who asked for less expects less, and shall hear that it is not so.
_NEEDED: Final[dict[str, tuple[str, str]]] = {
    "w": ("majority", "a write that only some members have is taken back when another one becomes primary"),
    "journal": ("true", "a write that is not in the journal is gone after a power cut"),
    "j": ("true", "a write that is not in the journal is gone after a power cut"),
    "retrywrites": ("true", "a write that meets an election would be an error for its caller"),
}
_STANDALONE: Final = (
    "it is a standalone server: a majority is that one server, and no write can be retried safely; "
    "make it a replica set (one member is enough: --replSet and rs.initiate())"
)


def weaknesses(url: str, hello: Mapping[str, Any], default_concern: Mapping[str, Any] | None) -> list[str]:
    """Why an acknowledged write could be lost here, in sentences without credentials; empty: it cannot.

    `default_concern` is the answer to `getDefaultRWConcern`, None where the server does not know it or we may not ask.
    """
    return [*_of_url(url), *_of_topology(hello), *_of_default(default_concern or {})]


def _of_url(url: str) -> list[str]:
    given = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    return [
        f"its URL asks for {name}={given[name]}: {why}; say {name}={needed} or leave it out"
        for name, (needed, why) in _NEEDED.items()
        if given.get(name, needed).lower() != needed
    ]


def _of_topology(hello: Mapping[str, Any]) -> list[str]:
    # A router of a sharded cluster answers so; behind it every shard is a replica set.
    if hello.get("setName") or hello.get("msg") == "isdbgrid":
        return []
    return [_STANDALONE]


def _of_default(concern: Mapping[str, Any]) -> list[str]:
    # An implicit default is MongoDB's own choice for the set's members; every write of ours names its concern anyway.
    if concern.get("defaultWriteConcernSource") != "global":
        return []
    level = concern.get("defaultWriteConcern", {}).get("w", "majority")
    if level == "majority":
        return []
    by_hand = "a repair or a migration by hand could lose what it wrote; set it to majority (setDefaultRWConcern)"
    return [f"its default write concern was set to w={level}: {by_hand}"]
