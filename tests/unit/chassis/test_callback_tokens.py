"""The token in a callback URL: right for one task of one provider, made with a secret that may be replaced."""

import pytest

from imagetron_chassis.callback_tokens import CallbackTokens

REFERENCE = "0123456789abcdef" * 2
SECRET = "a secret that is long enough"
TOKENS = CallbackTokens(SECRET)


def test_a_token_gives_back_its_task():
    token = TOKENS.token("callback", REFERENCE)

    assert token.startswith(f"{REFERENCE}.")
    assert TOKENS.reference("callback", token) == REFERENCE


def test_it_is_right_for_its_own_provider_only():
    assert TOKENS.reference("polled", TOKENS.token("callback", REFERENCE)) is None


def test_it_is_right_for_its_own_task_only():
    other = REFERENCE[::-1]
    tag = TOKENS.token("callback", REFERENCE).partition(".")[2]

    assert TOKENS.reference("callback", f"{other}.{tag}") is None


def test_whoever_lacks_the_secret_makes_none():
    forged = CallbackTokens("another secret, as long as it").token("callback", REFERENCE)

    assert TOKENS.reference("callback", forged) is None


@pytest.mark.parametrize("position", range(len(REFERENCE) + 1 + 22))
def test_no_character_can_be_changed(position):
    token = TOKENS.token("callback", REFERENCE)
    # The last of 22 base64 characters holds only two bits of the tag: its others are checked by comparing the text.
    changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]

    assert TOKENS.reference("callback", changed) is None


@pytest.mark.parametrize(
    "token", ["", ".", REFERENCE, f"{REFERENCE}.", f"{REFERENCE}.{'A' * 21}", "x" * 5000, f"\n{REFERENCE}"]
)
def test_what_is_no_token_names_no_task(token):
    assert TOKENS.reference("callback", token) is None


def test_while_a_secret_is_replaced_both_count_and_the_first_signs():
    old, new = CallbackTokens(SECRET), CallbackTokens("the new secret, long enough", SECRET)

    assert new.reference("callback", old.token("callback", REFERENCE)) == REFERENCE
    assert old.reference("callback", new.token("callback", REFERENCE)) is None


@pytest.mark.parametrize("secrets", [(), ("",), ("x" * 23,), (SECRET, "short")])
def test_a_secret_that_could_be_guessed_is_refused(secrets):
    with pytest.raises(ValueError, match="at least 24 bytes"):
        CallbackTokens(*secrets)
