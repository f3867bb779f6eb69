"""The prompt service's settings."""

from decimal import Decimal

import pytest

from imagetron_chassis.settings import WrongConfiguration, load
from imagetron_prompt.domain.prompts import parse_statuses
from imagetron_prompt.settings import EnhanceFallback, Settings

ENVIRONMENT = {
    "AMQP_URL": "amqp://prompt:secret@127.0.0.1:5672/imagetron",
    "PROMPT_DOCUMENTS_URL": "sqlite:////var/lib/imagetron/prompt.sqlite3",
}


def settings(**variables: str) -> Settings:
    return load(Settings, "prompt", ENVIRONMENT | variables)


def problems(**variables: str | None) -> list[str]:
    given = {name: value for name, value in (ENVIRONMENT | variables).items() if value is not None}
    with pytest.raises(WrongConfiguration) as refusal:
        load(Settings, "prompt", given)
    return refusal.value.problems


def test_the_required_settings_are_enough():
    loaded = settings()

    assert loaded.openai_api_key is None
    assert loaded.openai_base_url is None
    assert loaded.model == "gpt-4.1-mini"
    assert (loaded.price_input, loaded.price_output) == (None, None)
    assert loaded.statuses == ("draft", "approved", "used", "rejected")
    assert loaded.enhance_fallback is EnhanceFallback.NONE


def test_everything_can_be_set():
    loaded = settings(
        OPENAI_API_KEY="sk-1",
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        PROMPT_MODEL="other",
        PROMPT_PRICE_INPUT="0.40",
        PROMPT_PRICE_OUTPUT="1.60",
        PROMPT_STATUSES="new, done",
        PROMPT_ENHANCE_FALLBACK="offline",
    )

    assert loaded.openai_api_key is not None
    assert loaded.openai_api_key.get_secret_value() == "sk-1"
    assert (loaded.price_input, loaded.price_output) == (Decimal("0.40"), Decimal("1.60"))
    assert loaded.statuses == ("new", "done")
    assert loaded.enhance_fallback is EnhanceFallback.OFFLINE


def test_the_services_own_key_and_server_win():
    loaded = settings(
        OPENAI_API_KEY="sk-all",
        PROMPT_OPENAI_API_KEY="sk-own",
        OPENAI_BASE_URL="http://all",
        PROMPT_OPENAI_BASE_URL="http://own",
    )

    assert loaded.openai_api_key is not None
    assert (loaded.openai_api_key.get_secret_value(), loaded.openai_base_url) == ("sk-own", "http://own")


def test_no_secret_shows():
    shown = repr(settings(OPENAI_API_KEY="hidden-key", PROMPT_DOCUMENTS_URL="mongodb://user:hidden@db/x"))

    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PROMPT_DOCUMENTS_URL", None, "PROMPT_DOCUMENTS_URL: is required."),
        ("PROMPT_DOCUMENTS_URL", "postgres://db/x", "PROMPT_DOCUMENTS_URL: postgres: use sqlite"),
        ("PROMPT_DOCUMENTS_URL", "/a/file", "PROMPT_DOCUMENTS_URL: no scheme: use sqlite"),
        ("OPENAI_BASE_URL", "api.example.com", "PROMPT_OPENAI_BASE_URL: "),
        ("PROMPT_ENHANCE_FALLBACK", "maybe", "PROMPT_ENHANCE_FALLBACK: "),
        ("PROMPT_PRICE_INPUT", "1", "PROMPT_PRICE_INPUT and PROMPT_PRICE_OUTPUT: set both, or none"),
        ("PROMPT_PRICE_OUTPUT", "1", "PROMPT_PRICE_INPUT and PROMPT_PRICE_OUTPUT: set both, or none"),
        ("PROMPT_STATUS", "a", "PROMPT_STATUS: no such setting; did you mean PROMPT_STATUSES?"),
        ("PROMPT_STATUSES", "a,B", "PROMPT_STATUSES: 'B' is no label"),
    ],
)
def test_each_problem_is_told_by_its_variable(variable, value, said):
    (problem,) = problems(**{variable: value})

    assert problem.startswith(said)


@pytest.mark.parametrize("price", ["-1", "free"])
def test_a_price_is_a_number_of_dollars(price):
    assert len(problems(PROMPT_PRICE_INPUT=price, PROMPT_PRICE_OUTPUT=price)) == 2


@pytest.mark.parametrize("text", ["a", "draft,approved", "a-1", "a" * 30, ",".join(f"s{n}" for n in range(20))])
def test_labels_are_words(text):
    assert ",".join(parse_statuses(text)) == text


@pytest.mark.parametrize(
    "text", ["", ",", "a,", "A", "1a", "-a", "a b", "ä", "a" * 31, "a,a", ",".join(f"s{n}" for n in range(21))]
)
def test_what_is_no_list_of_labels_is_refused(text):
    with pytest.raises(ValueError, match="label"):
        parse_statuses(text)
