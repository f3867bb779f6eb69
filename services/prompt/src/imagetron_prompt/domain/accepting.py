"""What a person wrote is taken as it is, byte for byte, or refused. Nothing is cleaned here."""

import unicodedata

from imagetron_prompt.domain.errors import Invalid


def check_text(field: str, text: str, *, at_most: int, may_be_blank: bool = False) -> None:
    """Raises Invalid unless it is a text that can be stored and sent, and not longer than that."""
    if len(text) > at_most:
        raise Invalid(field, f"has {len(text)} characters; at most {at_most} are taken")
    if not may_be_blank and not text.strip():
        raise Invalid(field, "must not be blank")
    if "\0" in text:
        raise Invalid(field, "holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(field, "holds half of a surrogate pair")


def check_line(field: str, text: str, *, at_most: int, may_be_blank: bool = False) -> None:
    """The same, and it is one line without control characters."""
    check_text(field, text, at_most=at_most, may_be_blank=may_be_blank)
    if len(text.splitlines()) > 1 or any(unicodedata.category(character) == "Cc" for character in text):
        raise Invalid(field, "must be one line, without control characters")
