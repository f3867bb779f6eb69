"""Which differences between two JSON Schemas of a message break somebody. Pure: no files, no validator.

Two kinds of readers count. An old reader meets new messages: a subscriber who has not updated, a service in the middle
of a rollout. A new reader meets old messages: those that wait in queues, outboxes and dead letters. Both check what they
read, so a looser limit or a new enum value breaks the first as surely as a tighter limit or a lost value breaks the
second. What remains free: new optional properties, new message types, words that explain.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
_Trail = frozenset[tuple[str | None, str | None]]

_EXPLAINS: Final = frozenset({"$comment", "$defs", "$schema", "deprecated", "description", "examples", "title"})
_ALTERNATIVES: Final = frozenset({"allOf", "anyOf", "oneOf"})
_COMPARED: Final = frozenset({"properties", "required", "enum", "items", "additionalProperties", *_ALTERNATIVES})
_LOWER_LIMITS: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER_LIMITS: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """A sentence for each change from `old` to `new` that breaks a reader. Empty if none does."""
    return list(_Comparison(old, new).changes("the message", old, new))


def breaking_changes_of_all(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[str]:
    """The same over whole sets of schemas by name: none may go; new ones are free."""
    return [
        f"{name}: {change}"
        for name, schema in old.items()
        for change in (breaking_changes(schema, new[name]) if name in new else ["the message was removed"])
    ]


class _Comparison:
    """Two whole schemas, so that references can be followed."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new

    def changes(self, place: str, old: Schema, new: Schema, trail: _Trail = frozenset()) -> Iterator[str]:
        step = (old.get("$ref"), new.get("$ref"))
        if step in trail:
            return  # a definition that uses itself
        if all(step):
            trail |= {step}
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        yield from _keyword_changes(place, old, new)
        yield from _enum_changes(place, old, new)
        yield from _required_changes(place, old, new)
        after = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            if name in after:
                yield from self.changes(_inside(place, name), schema, after[name], trail)
            else:
                yield f"{_inside(place, name)} was removed or renamed: readers that use it break"
        yield from self._nested_changes(f"{place}[]", "items", old, new, trail)
        yield from self._nested_changes(f"{place}{{}}", "additionalProperties", old, new, trail)
        for keyword in sorted(_ALTERNATIVES & {*old, *new}):
            yield from self._alternative_changes(place, keyword, old, new, trail)

    def _nested_changes(self, place: str, keyword: str, old: Schema, new: Schema, trail: _Trail) -> Iterator[str]:
        # Nothing said and `true` are the same: everything is allowed.
        before, after = old.get(keyword, True), new.get(keyword, True)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self.changes(place, before, after, trail)
        elif before != after:
            yield f"{place}: {keyword} was {before!r} and is {after!r}"

    def _alternative_changes(self, place: str, keyword: str, old: Schema, new: Schema, trail: _Trail) -> Iterator[str]:
        before, after = old.get(keyword, ()), new.get(keyword, ())
        if len(before) != len(after):
            yield f"{place}: {keyword} had {len(before)} alternatives and has {len(after)}"
            return
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from self.changes(f"{place} ({keyword} {index})", left, right, trail)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema behind a reference into `$defs`; what is said beside the reference counts too."""
    if "$ref" not in schema:
        return schema
    definition: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**definition, **{key: value for key, value in schema.items() if key != "$ref"}}


def _keyword_changes(place: str, old: Schema, new: Schema) -> Iterator[str]:
    for keyword in sorted({*old, *new} - _EXPLAINS - _COMPARED):
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        if keyword in _LOWER_LIMITS | _UPPER_LIMITS:
            yield f"{place}: {_limit_change(keyword, before, after)}"
        else:
            yield f"{place}: {keyword} was {_words(before)} and is {_words(after)}"


def _limit_change(keyword: str, before: float | None, after: float | None) -> str:
    is_tighter = before is None or (
        after is not None and (after > before if keyword in _LOWER_LIMITS else after < before)
    )
    effect = "messages that already wait break it" if is_tighter else "readers that check the old limit refuse more"
    return f"{keyword} was {_words(before)} and is {_words(after)}: {effect}"


def _enum_changes(place: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = old.get("enum"), new.get("enum")
    if before is None or after is None:
        if before != after:
            yield f"{place}: enum was {_words(before)} and is {_words(after)}"
        return
    for value in before:
        if value not in after:
            yield f"{place} may no longer be {value!r}: messages that already wait become unreadable"
    for value in after:
        if value not in before:
            yield f"{place} may now be {value!r}: readers that check the old list refuse it"


def _required_changes(place: str, old: Schema, new: Schema) -> Iterator[str]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(before - after):
        if name in new.get("properties", {}):
            yield f"{_inside(place, name)} became optional: readers that rely on it break"
    for name in sorted(after - before):
        yield f"{_inside(place, name)} became required: messages that already wait do not have it"


def _inside(place: str, name: str) -> str:
    return name if place == "the message" else f"{place}.{name}"


def _words(value: object) -> str:
    return "absent" if value is None else repr(value)
