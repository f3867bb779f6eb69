"""A language model's text is data of a stranger: what may stay of it. What a person wrote is never cleaned."""

import re
import unicodedata
from typing import Final

# Joiners and the left-to-right and right-to-left marks stay: emoji and right-to-left languages need them.
_ZERO_WIDTH_JOINER: Final = "\u200d"
_REMOVED: Final = re.compile(
    "["
    "\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f"  # control characters that are no white space
    "\u202a-\u202e\u2066-\u2069"  # bidirectional embeddings, overrides, isolates: they show another text than there is
    "\ufeff"  # the byte-order mark
    "\ud800-\udfff"  # surrogates
    "\ue000-\uf8ff\U000f0000-\U0010ffff"  # private use, the noncharacters of its planes among it
    "\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 15))
    + "\U000e0000-\U000e007f"  # tags: invisible text
    "]"
)
_LINE_BREAK: Final = re.compile("\r\n|[\r\v\f\u0085\u2028\u2029]")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
# Longer chains of marks than this are a prank and no writing; they may be cut anywhere.
_LONGEST_CLUSTER: Final = 64


def cleaned(text: str, at_most: int) -> str:
    """The text without what does not belong into one, at most so many characters long; empty if nothing visible is left."""
    lines = _LINE_BREAK.sub("\n", _REMOVED.sub("", text)).replace("\t", " ").split("\n")
    return _clamped(_BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip(), at_most)


def one_line(text: str, at_most: int) -> str:
    """The same in one line, with single spaces: for titles and subjects."""
    return _clamped(" ".join(_LINE_BREAK.sub(" ", _REMOVED.sub("", text)).split()), at_most)


def _clamped(text: str, at_most: int) -> str:
    cut = text[: _cut(text, at_most)].rstrip()
    return cut if any(_is_visible(character) for character in cut) else ""


def _cut(text: str, at_most: int) -> int:
    """Where to cut: not inside of what a reader sees as one character, as far as that is cheap to know."""
    if len(text) <= at_most:
        return at_most
    for end in range(at_most, max(0, at_most - _LONGEST_CLUSTER), -1):
        if not _belongs_together(text, end):
            return end
    return at_most


def _belongs_together(text: str, at: int) -> bool:
    """Whether the character at this place belongs to the one before it."""
    if _is_flag_letter(text[at]):
        before = at
        while before and _is_flag_letter(text[before - 1]):
            before -= 1
        return (at - before) % 2 == 1
    return text[at - 1] == _ZERO_WIDTH_JOINER or _extends(text[at])


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\u1160" <= character <= "\u11ff"  # the vowels and ends of Korean syllables
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cf", "Mn", "Me"}
