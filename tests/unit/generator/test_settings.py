import pytest

from imagetron_chassis.settings import WrongConfiguration, load
from imagetron_generator.settings import Settings

NEEDED = {"AMQP_URL": "amqp://guest:guest@127.0.0.1/", "STORAGE_PATH": "/tmp/objects"}  # noqa: S108 - never touched

DOCUMENTS = {"GENERATOR_DOCUMENTS_URL": "sqlite:////tmp/generator.sqlite3"}
OPENAI = {**DOCUMENTS, "GENERATOR_OPENAI_API_KEY": "sk-CANARY"}
POLLED = {
    **DOCUMENTS,
    "GENERATOR_POLLED_PROVIDER_URL": "https://polled.example/v1",
    "GENERATOR_POLLED_PROVIDER_KEY": "key-CANARY",
}
CALLED_BACK = {
    **DOCUMENTS,
    "GENERATOR_CALLBACK_PROVIDER_URL": "https://intermediary.example",
    "GENERATOR_CALLBACK_PROVIDER_KEY": "key-CANARY",
    "GENERATOR_CALLBACK_BASE_URL": "https://images.example/gateway",
    "PROVIDER_CALLBACK_SECRET": "secret-CANARY-of-28-bytes-xx",
}


def loaded(**variables: str) -> Settings:
    return load(Settings, "generator", {**NEEDED, **variables})


def problems(variables: dict[str, str]) -> list[str]:
    with pytest.raises(WrongConfiguration) as caught:
        load(Settings, "generator", {**NEEDED, **variables})
    assert "CANARY" not in str(caught.value)
    return caught.value.problems


def test_the_names_of_the_original_service_still_work():
    settings = load(
        Settings, "generator", {**NEEDED, "MAX_CONCURRENT_JOBS": "3", "ML_IMAGE_SERVICE_URL": "triton:8001"}
    )

    assert (settings.max_concurrent_jobs, settings.triton_url) == (3, "triton:8001")


def test_watched_models_are_separated_by_commas():
    settings = load(Settings, "generator", {**NEEDED, "GENERATOR_HEALTH_MODELS": "preview, sdxl,"})

    assert settings.health_models == ("preview", "sdxl")


def test_the_preview_model_is_watched_unless_others_are_named():
    assert load(Settings, "generator", NEEDED).health_models == ("preview",)


def test_at_least_one_model_is_watched_because_nothing_else_would_end_a_pause():
    with pytest.raises(WrongConfiguration, match="GENERATOR_HEALTH_MODELS"):
        load(Settings, "generator", {**NEEDED, "GENERATOR_HEALTH_MODELS": " , "})


def test_a_url_in_place_of_host_and_port_is_refused_by_its_name():
    with pytest.raises(WrongConfiguration, match="GENERATOR_TRITON_URL"):
        load(Settings, "generator", {**NEEDED, "GENERATOR_TRITON_URL": "http://triton:8001"})


def test_no_outside_provider_is_configured_by_default_and_nothing_is_needed_for_none():
    settings = loaded()

    assert (settings.openai_api_key, settings.callback_provider_url, settings.polled_provider_url) == (None, None, None)
    assert settings.documents_url is None


@pytest.mark.parametrize("variables", [OPENAI, POLLED, CALLED_BACK])
def test_each_outside_provider_can_be_configured_alone_and_needs_a_place_for_its_books(variables):
    loaded(**variables)

    without = {name: value for name, value in variables.items() if name not in DOCUMENTS}
    (problem,) = problems(without)
    assert problem.startswith("GENERATOR_DOCUMENTS_URL: is required because ")


def test_the_names_that_the_whole_product_shares_work_too():
    settings = loaded(**DOCUMENTS, OPENAI_API_KEY="sk-shared", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-shared"
    assert settings.openai_base_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("url", ["postgres://host/db", "/folder/file"])
def test_documents_are_kept_in_sqlite_or_mongodb_alone(url):
    (problem,) = problems({"GENERATOR_DOCUMENTS_URL": url})

    assert "use sqlite:" in problem


def test_what_a_called_back_provider_needs_besides_is_named_all_at_once():
    without = {**CALLED_BACK}
    del without["GENERATOR_CALLBACK_BASE_URL"], without["PROVIDER_CALLBACK_SECRET"]

    assert [problem.partition(":")[0] for problem in problems(without)] == [
        "GENERATOR_CALLBACK_BASE_URL",
        "PROVIDER_CALLBACK_SECRET",
    ]


@pytest.mark.parametrize("kind", ["CALLBACK", "POLLED"])
@pytest.mark.parametrize("missing", ["URL", "KEY"])
def test_a_providers_address_and_key_come_together(kind, missing):
    variables = {**CALLED_BACK, **POLLED}
    del variables[f"GENERATOR_{kind}_PROVIDER_{missing}"]

    (problem,) = problems(variables)

    assert problem == f"GENERATOR_{kind}_PROVIDER_URL and GENERATOR_{kind}_PROVIDER_KEY: set both, or none"


@pytest.mark.parametrize("name", ["PROVIDER_CALLBACK_SECRET", "PROVIDER_CALLBACK_SECRET_PREVIOUS"])
def test_a_short_secret_is_refused(name):
    (problem,) = problems({**CALLED_BACK, name: "CANARY-" + "x" * 16})

    assert problem == f"{name}: needs at least 24 bytes"


def test_a_secret_is_replaced_by_naming_both_and_the_old_one_alone_is_a_mistake():
    settings = loaded(**CALLED_BACK, GENERATOR_PROVIDER_CALLBACK_SECRET_PREVIOUS="y" * 24)
    assert settings.callback_secret_previous is not None

    (problem,) = problems({**POLLED, "PROVIDER_CALLBACK_SECRET_PREVIOUS": "y" * 24})
    assert "beside PROVIDER_CALLBACK_SECRET" in problem


@pytest.mark.parametrize(
    "name",
    [
        "GENERATOR_OPENAI_BASE_URL",
        "GENERATOR_CALLBACK_PROVIDER_URL",
        "GENERATOR_CALLBACK_BASE_URL",
        "GENERATOR_POLLED_PROVIDER_URL",
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        "http://provider.example",
        "ftp://127.0.0.1/",
        "https://",
        "https://user:CANARY@provider.example",
        "https://provider.example/?key=CANARY",
        "https://provider.example/#CANARY",
        "https://[half",
        "https://provider.example:port",
        "http://127.0.0.1.example",
    ],
)
def test_only_https_urls_that_hold_nothing_secret_are_taken(name, url):
    (problem,) = problems({**OPENAI, **POLLED, **CALLED_BACK, name: url})

    assert problem.startswith(f"{name}: must begin with https://")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost", "http://[::1]:9"])
def test_on_loopback_http_will_do(url):
    assert loaded(**{**POLLED, "GENERATOR_POLLED_PROVIDER_URL": url}).polled_provider_url == url


def test_downloads_over_http_are_for_loopback_and_never_for_production():
    variables = {"GENERATOR_DOWNLOAD_LOOPBACK": "127.0.0.1:9000", "GENERATOR_DOWNLOAD_HOSTS": "cdn.example, b.example"}
    assert loaded(**variables).download_hosts == ("cdn.example", "b.example")

    (problem,) = problems({**variables, "ENVIRONMENT": "production"})
    assert problem.startswith("GENERATOR_DOWNLOAD_LOOPBACK: is refused in production")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENERATOR_DOWNLOAD_LOOPBACK", "cdn.example:80"),
        ("GENERATOR_DOWNLOAD_LOOPBACK", "93.184.215.14:80"),
        ("GENERATOR_DOWNLOAD_HOSTS", "cdn.example, .com"),
        ("GENERATOR_DOWNLOAD_HOSTS", "https://cdn.example"),
    ],
)
def test_a_list_of_hosts_that_cannot_mean_what_it_says_is_refused(name, value):
    (problem,) = problems({name: value})

    assert problem.startswith(f"{name}: ")


def test_secrets_show_in_no_repr():
    assert "CANARY" not in repr(loaded(**{**OPENAI, **POLLED, **CALLED_BACK}))


def test_a_dead_model_is_noticed_within_ten_seconds():
    assert loaded().health_interval_seconds <= 5
