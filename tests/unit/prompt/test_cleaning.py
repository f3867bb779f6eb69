"""What may stay of a model's text, for every text there is."""

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_prompt.domain.cleaning import cleaned, one_line

ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.integers(0xD800, 0xDFFF).map(chr),
        st.sampled_from(
            "\r\n\t\v\f\u0085\u2028\u2029 \u200d\u200c\u200e\u200f\u202e\u2066\ufeff\U000e0041\u0301🇩👩🏽x"
        ),
    )
)
LIMITS = st.integers(min_value=1, max_value=40)
_BIDI = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def is_forbidden(character: str) -> bool:
    code = ord(character)
    return (
        (unicodedata.category(character) in {"Cc", "Cs", "Co"} and character != "\n")
        or character in _BIDI
        or character in "\u2028\u2029\ufeff"
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
        or 0xE0000 <= code <= 0xE007F
    )


@settings(deadline=None)
@given(ANY_TEXT, LIMITS)
def test_nothing_forbidden_and_not_too_much_is_left_of_any_text(text, at_most):
    kept = cleaned(text, at_most)

    assert [hex(ord(character)) for character in kept if is_forbidden(character)] == []
    assert len(kept) <= at_most
    assert kept == kept.strip()
    assert "\n\n\n" not in kept
    kept.encode()


def test_in_each_block_with_forbidden_characters_those_go_and_all_others_stay():
    ends_of_planes = (range(plane << 16 | 0xFFE0, (plane + 1) << 16) for plane in range(1, 17))
    blocks = (range(0x3400), range(0xD700, 0x10000), range(0xE0000, 0xE0200), *ends_of_planes)
    everything = "".join(map(chr, itertools.chain(*blocks)))
    forbidden = {character for character in everything if is_forbidden(character)}
    wanted = set(everything) - forbidden - {character for character in everything if character.isspace()}

    for kept in (cleaned(everything, len(everything)), one_line(everything, len(everything))):
        assert forbidden.isdisjoint(kept)
        assert wanted.issubset(kept)


@settings(deadline=None)
@given(ANY_TEXT, LIMITS)
def test_a_line_is_one_line_with_single_spaces(text, at_most):
    kept = one_line(text, at_most)

    assert [hex(ord(character)) for character in kept if is_forbidden(character) or character == "\n"] == []
    assert len(kept.splitlines()) <= 1
    assert kept == " ".join(kept.split())
    assert len(kept) <= at_most


@settings(deadline=None)
@given(ANY_TEXT, LIMITS)
def test_a_clean_text_stays_as_it_is(text, at_most):
    once, line = cleaned(text, at_most), one_line(text, at_most)

    assert cleaned(once, at_most) == once
    assert one_line(line, at_most) == line


@settings(deadline=None)
@given(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40))
def test_what_is_plain_writing_in_any_language_stays(text):
    assert cleaned(text, 40) == text
    assert one_line(text, 40) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one\ttwo", "one two"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("one\u2028two\u2029three\u0085four\x0bfive\x0csix", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("one\n \n\t\n\n\ntwo  \nthree", "one\n\ntwo\nthree"),
        ("a\x00b\x1b[31mc\x7fd\x9fe", "ab[31mcde"),
        ("\ufeffa\ud800b\ue000c\uffffd\ufdd0e\U0001fffff\U0010fffdg", "abcdefg"),
        ("user\u202egnp.exe\u202c \u2066x\u2069", "usergnp.exe x"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("  \n text \n ", "text"),
    ],
)
def test_what_does_not_belong_into_a_text_goes(text, kept):
    assert cleaned(text, 100) == kept


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧 family",
        "می‌خواهم",
        "\u200f\u05e9\u05dc\u05d5\u05dd",
        "e\u0301",
        "🇩🇪",
        "นก\u200bบิน",
        "①½™",
        "漢字",
        "👍🏽",
    ],
)
def test_what_languages_and_emoji_need_stays(text):
    assert cleaned(text, 100) == text
    assert one_line(text, 100) == text


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x01", "\u200d\u200e", "\ufeff", "\u202e\u202c", "\u0301"])
def test_nothing_is_left_of_a_text_without_anything_to_see(text):
    assert cleaned(text, 100) == ""
    assert one_line(text, 100) == ""


@pytest.mark.parametrize(
    ("text", "at_most", "kept"),
    [
        ("abcdef", 3, "abc"),
        ("ab cdef", 3, "ab"),
        ("ab👩‍👩‍👧", 4, "ab"),
        ("ab👩‍👩‍👧", 3, "ab"),
        ("abe\u0301\u0302x", 4, "ab"),
        ("ab👍🏽", 3, "ab"),
        ("a🇩🇪🇫🇷", 4, "a🇩🇪"),
        ("a🇩🇪🇫🇷", 3, "a🇩🇪"),
        ("🇩🇪🇫🇷", 3, "🇩🇪"),
        ("ab\u1112\u1161\u11ab", 4, "ab"),
    ],
)
def test_a_long_text_is_cut_between_what_readers_see_as_characters(text, at_most, kept):
    assert cleaned(text, at_most) == kept
    assert one_line(text, at_most) == kept


def test_a_chain_of_marks_without_end_is_cut_anywhere():
    assert len(cleaned("a" + "\u0301" * 500, 200)) == 200


def test_a_line_joins_what_were_lines():
    assert one_line(" Pier \r\n at\u2028dawn\t ", 100) == "Pier at dawn"
