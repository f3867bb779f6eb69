"""The generator's settings."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr

from imagetron_chassis.downloads import DownloadRules
from imagetron_chassis.settings import BaseServiceSettings, Environment

_STORES: Final = {"sqlite", "mongodb", "mongodb+srv"}
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
_LEAST_SECRET_BYTES: Final = 24
_PROVIDERS: Final = {
    "openai_api_key": "GENERATOR_OPENAI_API_KEY",
    "callback_provider_url": "GENERATOR_CALLBACK_PROVIDER_URL",
    "polled_provider_url": "GENERATOR_POLLED_PROVIDER_URL",
}
_URLS: Final = {
    "openai_base_url": "GENERATOR_OPENAI_BASE_URL",
    "callback_provider_url": "GENERATOR_CALLBACK_PROVIDER_URL",
    "callback_base_url": "GENERATOR_CALLBACK_BASE_URL",
    "polled_provider_url": "GENERATOR_POLLED_PROVIDER_URL",
}
_NEEDS_DOCUMENTS: Final = "paid calls and the tasks of outside providers are kept there"


def _names(value: Any) -> Any:  # noqa: ANN401 - whatever was given; pydantic judges the result
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


class Settings(BaseServiceSettings):
    """Which Triton and which outside providers, how much at once, and which models are watched."""

    PREFIX: ClassVar[str] = "GENERATOR_"

    triton_url: str = Field(
        default="127.0.0.1:8002",
        pattern=r"^[^/\s]+:\d+$",
        validation_alias=AliasChoices("GENERATOR_TRITON_URL", "ML_IMAGE_SERVICE_URL"),
        description="Triton's gRPC address, host:port.",
    )
    max_concurrent_jobs: int = Field(
        default=2,
        ge=1,
        le=64,
        validation_alias=AliasChoices("GENERATOR_MAX_CONCURRENT_JOBS", "MAX_CONCURRENT_JOBS"),
        description="Families that one generator process has with the model at once. It takes fewer while Triton is full, "
        "away or out of memory.",
    )
    health_models: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=("preview",),
        min_length=1,
        description="Models whose health is reported, by their Triton names, separated by commas. While none of them "
        "answers, this process consumes no families.",
    )
    health_interval_seconds: float = Field(
        default=5,
        gt=0,
        description="Pause between two synthetic inferences of a model, and between two reports on outside providers, which "
        "are never asked for it.",
    )
    health_deadline_seconds: float = Field(
        default=30,
        gt=0,
        description="How long a synthetic inference may take. Longer than the slowest step of a real picture.",
    )
    external_concurrency: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Families for outside providers that one generator process has in hand at once, and calls of direct ones.",
    )
    documents_url: SecretStr | None = Field(
        default=None,
        description="Tasks at outside providers and the books of paid calls: sqlite:////folder/file.sqlite3 or "
        "mongodb://.... Needed only where an outside provider is configured.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GENERATOR_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key of the account that pays for OpenAI's pictures. Without one that provider is not configured.",
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("GENERATOR_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Another server that speaks OpenAI's protocol: https, or http on loopback. Default: OpenAI's own.",
    )
    openai_image_model: str = Field(
        default="gpt-image-2",
        min_length=1,
        description="Name under which OpenAI's health is reported: the catalogue's `providerModel`. Each job names its own.",
    )
    openai_image_quality: Literal["low", "medium", "high"] = Field(
        default="medium",
        description="What is asked of OpenAI's image models. It moves their price: the catalogue's prices are to match it.",
    )
    callback_provider_url: str | None = Field(
        default=None,
        description="Base URL of the intermediary that calls back (Midjourney's commands): https, or http on loopback. "
        "Without one that provider is not configured.",
    )
    callback_provider_key: SecretStr | None = Field(default=None, description="Our key there.")
    callback_provider_can_find: bool = Field(
        default=False,
        description="It can be asked for tasks by our reference: a task whose answer was lost is found again, not paid for "
        "twice.",
    )
    callback_provider_model: str = Field(
        default="midjourney",
        min_length=1,
        description="Name under which its health is reported: the catalogue's `providerModel`.",
    )
    callback_base_url: str | None = Field(
        default=None,
        description="Where outside providers reach the gateway, for their callbacks: https://host[/path], or http on loopback.",
    )
    callback_secret: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GENERATOR_PROVIDER_CALLBACK_SECRET", "PROVIDER_CALLBACK_SECRET"),
        description="Signs the tokens in callback URLs; the gateway has the same. At least 24 bytes.",
    )
    callback_secret_previous: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "GENERATOR_PROVIDER_CALLBACK_SECRET_PREVIOUS", "PROVIDER_CALLBACK_SECRET_PREVIOUS"
        ),
        description="The one that is being replaced: its tokens still count, no new ones are signed with it.",
    )
    polled_provider_url: str | None = Field(
        default=None,
        description="Base URL of the provider that is asked until it is done: https, or http on loopback. Without one that "
        "provider is not configured.",
    )
    polled_provider_key: SecretStr | None = Field(default=None, description="Our key there.")
    polled_provider_model: str = Field(
        default="nanobanana",
        min_length=1,
        description="Name under which its health is reported: the catalogue's `providerModel`.",
    )
    provider_poll_seconds: float = Field(
        default=1, gt=0, description="Pause between two looks for tasks at outside providers that are due."
    )
    download_hosts: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=(),
        description="Hosts from which pictures of outside providers are downloaded, over https, separated by commas. From "
        "others nothing is.",
    )
    download_loopback: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        default=(),
        description="Places on loopback, such as 127.0.0.1:9000, from which pictures are downloaded over http, separated by "
        "commas. For one machine and tests; refused in production.",
    )

    @classmethod
    def contradictions(cls, given: Mapping[str, str]) -> list[str]:
        problems = super().contradictions(given)
        problems += [
            f"{name}: must begin with https:// (http:// on loopback alone) and be a host and a path, nothing else"
            for field, name in _URLS.items()
            if given.get(field) and not _is_good(given[field])
        ]
        if given.get("download_loopback") and given.get("environment") == Environment.PRODUCTION:
            problems.append("GENERATOR_DOWNLOAD_LOOPBACK: is refused in production; pictures come over https there")
        problems += _about_downloads(given)
        return problems + _about_documents(given) + _about_keys(given) + _about_callbacks(given)


def _about_documents(given: Mapping[str, str]) -> list[str]:
    url = given.get("documents_url")
    if url:
        scheme = _parts(url).scheme
        said = f"GENERATOR_DOCUMENTS_URL: {scheme or 'no scheme'}: use sqlite:////folder/file or mongodb://..."
        return [] if scheme in _STORES else [said]
    return [
        f"GENERATOR_DOCUMENTS_URL: is required because {name} is set; {_NEEDS_DOCUMENTS}"
        for field, name in _PROVIDERS.items()
        if given.get(field)
    ][:1]


def _about_keys(given: Mapping[str, str]) -> list[str]:
    return [
        f"GENERATOR_{kind.upper()}_PROVIDER_URL and GENERATOR_{kind.upper()}_PROVIDER_KEY: set both, or none"
        for kind in ("callback", "polled")
        if bool(given.get(f"{kind}_provider_url")) != bool(given.get(f"{kind}_provider_key"))
    ]


def _about_callbacks(given: Mapping[str, str]) -> list[str]:
    problems = []
    if given.get("callback_provider_url"):
        needed = {"callback_base_url": "GENERATOR_CALLBACK_BASE_URL", "callback_secret": "PROVIDER_CALLBACK_SECRET"}
        problems = [
            f"{name}: is required because GENERATOR_CALLBACK_PROVIDER_URL is set; that provider calls back"
            for field, name in needed.items()
            if not given.get(field)
        ]
    for field, name in (
        ("callback_secret", "PROVIDER_CALLBACK_SECRET"),
        ("callback_secret_previous", "PROVIDER_CALLBACK_SECRET_PREVIOUS"),
    ):
        if given.get(field) and len(given[field].encode()) < _LEAST_SECRET_BYTES:
            problems.append(f"{name}: needs at least {_LEAST_SECRET_BYTES} bytes")
    if given.get("callback_secret_previous") and not given.get("callback_secret"):
        problems.append("PROVIDER_CALLBACK_SECRET_PREVIOUS: is of use only beside PROVIDER_CALLBACK_SECRET")
    return problems


def _about_downloads(given: Mapping[str, str]) -> list[str]:
    hosts, loopback = (_names(given.get(field, "")) for field in ("download_hosts", "download_loopback"))
    problems = []
    for name, rules in (
        ("GENERATOR_DOWNLOAD_HOSTS", {"allowed_hosts": hosts}),
        ("GENERATOR_DOWNLOAD_LOOPBACK", {"allowed_hosts": (), "dangerously_allow_plain_http_on_loopback": loopback}),
    ):
        try:
            DownloadRules(**rules)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return problems


def _is_good(url: str) -> bool:
    parts = _parts(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return is_safe and bool(parts.hostname) and not (parts.username or parts.password or parts.query or parts.fragment)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for what is no number
    except ValueError:
        return urlsplit("")
    return parts
