"""Who is asking. Every repository method takes a Principal from the first day; the filter is part of the query."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: the owner whose documents are visible, and the scopes that routes ask for.

    `sees_all_owners` is for the service's own work (relay, sweep) and for administration; it is never made from input.
    """

    owner: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    sees_all_owners: bool = False

    def has(self, scope: str) -> bool:
        return "*" in self.scopes or scope in self.scopes


def system(name: str) -> Principal:
    """The service itself, working on everybody's documents."""
    return Principal(owner=f"system:{name}", scopes=frozenset({"*"}), sees_all_owners=True)


LOCAL = Principal(owner="local", scopes=frozenset({"*"}), sees_all_owners=True)
"""The one caller of the embedded mode: the person at this machine, with every scope."""
