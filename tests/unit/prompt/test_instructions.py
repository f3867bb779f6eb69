import hashlib
from importlib.resources import files

import pytest

from imagetron_prompt.adapters.instructions import load

RELEASED = {
    "enhance.v1.md": "bc851dcde61c130948d33d8f664bf3d8f1990b272ce1bde1ef479480393fbfe1",
    "prompts.v1.md": "227cb1778a45691aad96a332ae44c11a478bf87eff0589b677c9dd69d8576155",
    "subjects.v1.md": "3700bb4f0a7c324e822d54333eddb4541c769f2b2ec844eb1fc96e040a295a15",
    "title.v1.md": "fa93df03ced2500c4350a74d7c5c79ac803e402c0b96ad92c8db1c1281b56613",
}
"""SHA-256 of each released file. A line here is added, never changed: what was written by `enhance@1` must stay true."""


def templates():
    return {file.name: file for file in (files("imagetron_prompt.adapters") / "templates").iterdir()}


def test_released_instructions_never_change_and_every_file_is_released():
    held = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in templates().items()}

    assert held == RELEASED


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_instructions_say_that_what_the_user_wrote_is_data(name):
    kind, version = name.removesuffix(".md").split(".v")

    text = load(kind, int(version)).text

    assert "JSON object" in text
    assert "data" in text
    assert "instructions" in text


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_remarks_for_maintainers_are_not_sent(name):
    kind, version = name.removesuffix(".md").split(".v")

    text = load(kind, int(version)).text

    assert templates()[name].read_text().startswith("<!--")
    assert "<!--" not in text
    assert "maintainers" not in text
    assert text == text.strip()


def test_instructions_are_named_with_their_version():
    assert load("enhance", 1).template == "enhance@1"


def test_instructions_that_were_never_released_cannot_be_loaded():
    with pytest.raises(FileNotFoundError):
        load("enhance", 999)
