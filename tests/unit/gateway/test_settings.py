"""The gateway's settings: every problem is told at once, and what is insecure is refused."""

import base64
from pathlib import Path

import pytest

from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.settings import WrongConfiguration, load
from imagetron_gateway.settings import Settings, is_loopback

ANYWHERE = "0.0.0.0"  # noqa: S104 - that it is refused is the point
ENVIRONMENT = {
    "AMQP_URL": "amqp://gateway:secret@127.0.0.1:5672/imagetron",
    "STORAGE_PATH": "/var/lib/imagetron/objects",
    "GATEWAY_DOCUMENTS_URL": "sqlite:////var/lib/imagetron/gateway.sqlite3",
}
S3 = {
    "S3_BUCKET": "public",
    "S3_WORK_BUCKET": "work",
    "S3_ENDPOINT": "https://account.r2.example.com",
    "S3_ACCESS_KEY_ID": "key",
    "S3_SECRET_ACCESS_KEY": "hidden",
    "PUBLIC_IMAGE_URL": "https://images.example.com",
}


def settings(**variables: str) -> Settings:
    return load(Settings, "gateway", ENVIRONMENT | variables)


def problems(**variables: str | None) -> list[str]:
    given = {name: value for name, value in (ENVIRONMENT | variables).items() if value is not None}
    with pytest.raises(WrongConfiguration) as refusal:
        load(Settings, "gateway", given)
    return refusal.value.problems


def test_the_required_settings_are_enough():
    loaded = settings()

    assert (loaded.host, loaded.port) == ("127.0.0.1", 8015)
    assert (loaded.admission_interactive, loaded.admission_batch) == (32, 16)
    assert (loaded.base_url, loaded.objects_url) == ("http://127.0.0.1:8015", "http://127.0.0.1:8015/cdn")
    assert (loaded.serves_objects, loaded.stand_in, loaded.catalogue_path) == (True, None, None)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        settings().port = 1  # type: ignore[misc]


def test_every_problem_is_told_at_once():
    found = problems(
        AMQP_URL=None,
        STORAGE_PATH=None,
        GATEWAY_DOCUMENTS_URL="postgres://db/x",
        GATEWAY_PORT="99999",
        GATEWAY_HOST=ANYWHERE,
        GATEWAY_EXTERNAL_URL="images.example.com",
        GATEWAY_ADMISSION_BATCH="0",
        GATEWAY_CHECK_SECONDS="soon",
        GATEWAY_PROT="8080",
    )
    variables = {problem.split(":")[0] for problem in found}

    assert variables == {
        *("AMQP_URL", "STORAGE_PATH or S3_BUCKET", "GATEWAY_DOCUMENTS_URL", "GATEWAY_PORT", "GATEWAY_HOST"),
        *("GATEWAY_EXTERNAL_URL", "GATEWAY_ADMISSION_BATCH", "GATEWAY_CHECK_SECONDS", "GATEWAY_PROT"),
    }
    assert len(found) == len(variables)


def test_a_place_for_the_documents_is_required():
    (problem,) = problems(GATEWAY_DOCUMENTS_URL=None)

    assert problem.startswith("GATEWAY_DOCUMENTS_URL: is required.")


@pytest.mark.parametrize(
    ("url", "said"), [("postgres://db/x", "postgres"), ("/var/lib/file", "no scheme"), ("mysql:x", "mysql")]
)
def test_an_unknown_kind_of_document_store_is_refused(url, said):
    (problem,) = problems(GATEWAY_DOCUMENTS_URL=url)

    assert problem == f"GATEWAY_DOCUMENTS_URL: {said}: use sqlite:////folder/file or mongodb://..."


@pytest.mark.parametrize("scheme", ["sqlite", "mongodb", "mongodb+srv"])
def test_sqlite_and_mongodb_are_known(scheme):
    assert settings(GATEWAY_DOCUMENTS_URL=f"{scheme}://host/name").documents_url.get_secret_value().startswith(scheme)


@pytest.mark.parametrize(
    "host", [ANYWHERE, "::", "192.168.1.7", "gateway.example.com", "127.0.0.1.example.com", "10.0.0.1"]
)
def test_an_address_that_strangers_reach_is_refused_while_callers_cannot_authenticate(host):
    (problem,) = problems(GATEWAY_HOST=host)

    assert problem.startswith(f"GATEWAY_HOST: {host} is reachable from outside")
    assert "GATEWAY_TRUST_EVERY_CALLER=true" in problem


@pytest.mark.parametrize("yes", ["true", "True", "1", "yes", "on"])
def test_whoever_trusts_every_caller_may_listen_anywhere(yes):
    loaded = settings(GATEWAY_HOST="10.0.0.1", GATEWAY_TRUST_EVERY_CALLER=yes)

    assert (loaded.host, loaded.trust_every_caller) == ("10.0.0.1", True)


@pytest.mark.parametrize("no", ["false", "0", "no"])
def test_trust_that_is_refused_is_no_trust(no):
    (problem,) = problems(GATEWAY_HOST="10.0.0.1", GATEWAY_TRUST_EVERY_CALLER=no)

    assert problem.startswith("GATEWAY_HOST:")


def test_the_embedded_mode_listens_on_loopback_only():
    (problem,) = problems(ENVIRONMENT="embedded", GATEWAY_HOST="10.0.0.1", GATEWAY_TRUST_EVERY_CALLER="true")

    assert problem == "GATEWAY_HOST: 10.0.0.1 is reachable from outside; the embedded mode listens on loopback only"


def test_production_does_not_trust_every_caller():
    (problem,) = problems(ENVIRONMENT="production", GATEWAY_HOST="10.0.0.1", GATEWAY_TRUST_EVERY_CALLER="true")

    assert problem.startswith("GATEWAY_TRUST_EVERY_CALLER: is refused in production")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)),
        *(
            (ANYWHERE, False),
            ("::", False),
            ("10.0.0.1", False),
            ("example.com", False),
            ("localhost.example.com", False),
        ),
        *(("", False), ("2130706433", False), ("127.1", False)),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host, is_local):
    assert is_loopback(host) is is_local


def test_a_bucket_needs_a_public_address():
    given = {name: value for name, value in S3.items() if name != "PUBLIC_IMAGE_URL"}

    assert problems(**given) == [
        "PUBLIC_IMAGE_URL: is required because S3_BUCKET is set; it is the bucket's public address"
    ]


def test_a_bucket_with_a_public_address_is_served_by_the_cdn():
    loaded = settings(**S3)

    assert (loaded.objects_url, loaded.serves_objects) == ("https://images.example.com", False)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GATEWAY_PROT", "GATEWAY_PORT"),
        ("GATEWAY_DOCUMENT_URL", "GATEWAY_DOCUMENTS_URL"),
        ("GATEWAY_STANDIN_MODEL", "GATEWAY_STAND_IN_MODEL"),
    ],
)
def test_an_unknown_variable_of_the_gateway_is_refused_with_the_nearest_known_one(name, meant):
    assert problems(**{name: "x"}) == [f"{name}: no such setting; did you mean {meant}?"]


def test_variables_of_others_are_no_concern():
    assert settings(GENERATOR_TRITON_URL="x", PATH="/bin", GATEWAYS="x") == settings()


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "IMAGE_GENERATOR_PORT"])
def test_the_port_has_two_names(name):
    assert settings(**{name: "9000"}).port == 9000


def test_the_gateways_own_name_wins_and_empty_means_not_set():
    assert settings(GATEWAY_PORT="9001", IMAGE_GENERATOR_PORT="9000").port == 9001
    assert settings(GATEWAY_PORT="", IMAGE_GENERATOR_PORT="9000").port == 9000


@pytest.mark.parametrize("name", ["GATEWAY_PUBLIC_IMAGE_URL", "PUBLIC_IMAGE_URL"])
def test_the_public_address_has_two_names_and_loses_its_last_slash(name):
    loaded = settings(**{name: "https://images.example.com/x/"})

    assert (loaded.objects_url, loaded.serves_objects) == ("https://images.example.com/x", False)


@pytest.mark.parametrize("url", ["/api/images", "images.example.com", "ftp://images.example.com", "https://"])
def test_public_addresses_are_absolute(url):
    (problem,) = problems(PUBLIC_IMAGE_URL=url)

    assert problem.startswith("GATEWAY_PUBLIC_IMAGE_URL:")


def test_links_begin_with_the_external_address():
    loaded = settings(GATEWAY_EXTERNAL_URL="https://api.example.com/images/")

    assert loaded.base_url == "https://api.example.com/images"
    assert loaded.objects_url == "https://api.example.com/images/cdn"


def test_links_to_an_ipv6_address_are_valid():
    assert settings(GATEWAY_HOST="::1").base_url == "http://[::1]:8015"


@pytest.mark.parametrize(
    ("environment", "given", "stand_in"),
    [
        ("embedded", "", "preview"),
        ("embedded", "other", "other"),
        ("development", "", None),
        ("production", "", None),
        ("production", "preview", "preview"),
    ],
)
def test_only_one_machine_has_a_stand_in_by_itself(environment, given, stand_in):
    assert settings(ENVIRONMENT=environment, GATEWAY_STAND_IN_MODEL=given).stand_in == stand_in


def test_secrets_do_not_show():
    hidden = "hidden-" * 5
    loaded = settings(
        **S3,
        GATEWAY_DOCUMENTS_URL="mongodb://user:hidden@db/x",
        PROVIDER_CALLBACK_SECRET=hidden,
        PROVIDER_CALLBACK_SECRET_PREVIOUS=hidden,
        GATEWAY_CALLBACK_SIGNERS=f"callback=whsec_{base64.b64encode(hidden.encode()).decode()}",
    )

    assert "hidden" not in repr(loaded)
    assert "whsec" not in repr(loaded)
    assert ":secret@" not in repr(loaded)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PROVIDER_CALLBACK_SECRET", "short", "PROVIDER_CALLBACK_SECRET: has fewer than 24 bytes"),
        ("PROVIDER_CALLBACK_SECRET_PREVIOUS", "short", "PROVIDER_CALLBACK_SECRET_PREVIOUS: has fewer than 24 bytes"),
        (
            "GATEWAY_CALLBACK_SIGNERS",
            "callback=nonsense",
            "GATEWAY_CALLBACK_SIGNERS: a secret of callback cannot be read",
        ),
    ],
)
def test_a_callback_secret_that_cannot_protect_anything_is_refused(variable, value, said):
    [problem] = problems(**{variable: value})

    assert problem.startswith(said)
    assert value not in problem


def test_without_a_secret_no_token_is_right_and_with_two_both_are():
    token = CallbackTokens("s" * 24).token("callback", "0" * 32)

    assert settings().callback_tokens.reference("callback", token) is None
    rotated = settings(PROVIDER_CALLBACK_SECRET="n" * 24, PROVIDER_CALLBACK_SECRET_PREVIOUS="s" * 24)
    assert rotated.callback_tokens.reference("callback", token) == "0" * 32


def test_a_catalogue_of_ones_own_can_be_named():
    assert settings(GATEWAY_CATALOGUE_PATH="/etc/models.yaml").catalogue_path == Path("/etc/models.yaml")


def test_a_table_of_families_of_ones_own_can_be_named():
    assert settings().families_file is None
    assert settings(GATEWAY_FAMILIES_FILE="/etc/families.yaml").families_file == Path("/etc/families.yaml")
