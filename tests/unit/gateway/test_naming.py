"""Which names a variation may have: a name is a path segment of a public URL."""

import pytest

from imagetron_gateway.domain.naming import MAX_LENGTH, RESERVED, objection_to


@pytest.mark.parametrize(
    "name", ["a", "7", "hero-sunset-beach", "Summer_2026", "a" * MAX_LENGTH, "models-2026", "my-jobs"]
)
def test_url_safe_names_are_accepted(name):
    assert objection_to(name) is None


@pytest.mark.parametrize("name", ["variations", "health", "models", "families", "jobs", "imagine", "sources"])
@pytest.mark.parametrize("written", [str.lower, str.upper, str.title])
def test_words_of_the_api_are_reserved_in_any_letter_case(name, written):
    assert objection_to(written(name)) == (
        "is reserved; these words cannot be names: families, health, imagine, jobs, models, sources, variations"
    )


def test_the_reserved_words_are_these_seven():
    assert len(RESERVED) == 7


@pytest.mark.parametrize(
    "name",
    [
        *("a b", " a", "a ", "a/b", "a\\b", "a.b", ".", "..", "../a", "a%2eb", "%2e%2e", "a?b", "a#b", "a&b"),
        *("-a", "a-", "_a", "a_", "-", "a\n", "a\x00", "a\x1b[31m", "\u2028"),
        *("strand-über", "日本", "\uff41\uff42", "١٢٣", "a\u0301", "\U0001f3d6", "a\u200bb", "\ud800"),
        *('a"b', "a'b", "<a>", "a;b", "a:b", "a@b", "C:a", "con\u202egnp"),
    ],
)
def test_names_that_would_need_escaping_in_a_url_are_refused(name):
    assert objection_to(name) == (
        "must be URL-safe: letters, digits, '-' and '_', beginning and ending with a letter or digit"
    )


def test_an_empty_name_is_refused():
    assert objection_to("") == "must not be empty"


def test_a_long_name_is_refused_with_its_length():
    assert objection_to("a" * (MAX_LENGTH + 1)) == "is 101 characters long; at most 100 are allowed"
