"""The characters that the watermarks' font can write, told without drawing anything."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import ImageFont

from imagetron_chassis.watermarks import FONT, unwritable
from imagetron_chassis.watermarks.coverage import RANGES

GENERATE = Path(__file__).parents[3] / "scripts" / "font_coverage.py"


@pytest.mark.parametrize(
    "text",
    [
        "© Example 2026",
        "Straße, łódź, ñandú",
        "Ελλάδα",
        "Україна",
        "שלום",
        "مرحبا",
        "e\u0301",
        "☀ 50 % → ½ €",
        "😀",
        "",
    ],
)
def test_letters_signs_accents_and_scripts_of_the_font_are_writable(text):
    assert unwritable(text) == ()


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("© 日本 2026 日", ("日", "本")),
        ("देवनागरी", ("द", "े", "व", "न", "ा", "ग", "र", "ी")),
        ("🦊", ("🦊",)),
        ("no\ttabs", ("\t",)),
        ("one\r\nline\u2028only\u2029", ("\r", "\n", "\u2028", "\u2029")),
        ("bell\x07 \x85 \x00", ("\x07", "\x85", "\x00")),
        ("half a pair \ud83e", ("\ud83e",)),
        ("the last \U0010ffff", ("\U0010ffff",)),
    ],
)
def test_each_character_that_the_font_lacks_is_named_once_in_its_order(text, lacking):
    assert unwritable(text) == lacking


def test_every_writable_character_has_a_sign_of_its_own_in_the_font():
    # By another reader of the font than the one that wrote the ranges down: one letter each, without joining.
    font = ImageFont.truetype(FONT, 24, layout_engine=ImageFont.Layout.BASIC)
    box_for_missing = bytes(font.getmask("\U0010ffff"))

    codes = [code for first, last in RANGES for code in range(first, last + 1)]

    assert [hex(code) for code in codes if bytes(font.getmask(chr(code))) == box_for_missing] == []


def test_every_printable_character_that_is_not_writable_is_drawn_as_the_box_for_missing_ones():
    font = ImageFont.truetype(FONT, 24, layout_engine=ImageFont.Layout.BASIC)
    box_for_missing = bytes(font.getmask("\U0010ffff"))
    # The planes that have characters for people to read.
    printable = (
        chr(code) for code in range(0x20000) if unicodedata.category(chr(code)) not in {"Cc", "Cs", "Zl", "Zp"}
    )

    wrongly = [
        hex(ord(sign)) for sign in printable if unwritable(sign) and bytes(font.getmask(sign)) != box_for_missing
    ]

    assert wrongly == []


def test_the_ranges_are_generated_from_the_font():
    check = subprocess.run([sys.executable, GENERATE, "--check"], capture_output=True, text=True, check=False)

    assert check.stderr == ""


def test_the_licence_lies_beside_the_font():
    assert "Bitstream Vera Fonts Copyright" in FONT.with_suffix(".LICENSE").read_text(encoding="utf-8")
