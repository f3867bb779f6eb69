"""The document store: the port is here, the adapters are beside it and are named only by a service's bootstrap."""

from imagetron_chassis.documents.port import (
    AFTER_LAST,
    Collection,
    Document,
    DocumentRefused,
    Documents,
    DocumentsUnavailable,
    Duplicate,
    Equals,
    Filter,
    InSet,
    Range,
    Sort,
    StoreTooWeak,
    TextContains,
    UniqueKey,
)

__all__ = [
    "AFTER_LAST",
    "Collection",
    "Document",
    "DocumentRefused",
    "Documents",
    "DocumentsUnavailable",
    "Duplicate",
    "Equals",
    "Filter",
    "InSet",
    "Range",
    "Sort",
    "StoreTooWeak",
    "TextContains",
    "UniqueKey",
]
