"""The gateway's settings."""

import ipaddress
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, SecretStr

from imagetron_chassis.callback_tokens import MINIMUM_SECRET_BYTES, CallbackTokens
from imagetron_chassis.settings import BaseServiceSettings, Environment
from imagetron_gateway.domain.callbacks import signers
from imagetron_gateway.domain.peak_hours import PeakHours


def _peak_hours(value: object) -> object:
    return PeakHours.parse(value) if isinstance(value, str) else value


_TRUE = {"1", "true", "yes", "on", "t", "y"}


class Settings(BaseServiceSettings):
    """Where it listens, where its documents are, how much it lets into the broker."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    PREFIX: ClassVar[str] = "GATEWAY_"

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8015,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("GATEWAY_PORT", "IMAGE_GENERATOR_PORT"),
        description="Port of the API, the probes and the metrics.",
    )
    external_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+.*$",
        description="Absolute base of links to this API, as callers see it.",
    )
    public_image_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+.*$",
        validation_alias=AliasChoices("GATEWAY_PUBLIC_IMAGE_URL", "PUBLIC_IMAGE_URL"),
        description="Absolute base of the public objects, the CDN. Default: /cdn of this gateway (filesystem store only).",
    )
    documents_url: SecretStr = Field(
        description="Job documents: sqlite:////folder/file.sqlite3 or mongodb://...; required."
    )
    catalogue_path: Path | None = Field(
        default=None, description="The model catalogue, a YAML file. Default: the one in the package."
    )
    families_file: Path | None = Field(
        default=None,
        description="The table of families and derivatives, a YAML file. Default: the built-in one. Jobs keep the table that "
        "they were made with.",
    )
    stand_in_model: str | None = Field(
        default=None, description="Provider's model that serves for those that cannot; for machines without weights."
    )
    trust_every_caller: bool = Field(
        default=False,
        description="Every caller may do everything. Must be set to listen on anything but loopback: callers cannot "
        "authenticate yet, so keep others out by network rules.",
    )
    admission_interactive: int = Field(
        default=32, ge=1, description="Families of the interactive lane that may be in the broker at once."
    )
    admission_batch: int = Field(default=16, ge=1, description="The same for the batch lane.")
    peak_hours: Annotated[PeakHours | None, BeforeValidator(_peak_hours)] = Field(
        default=None,
        validation_alias=AliasChoices("GATEWAY_PEAK_HOURS", "PEAK_HOURS"),
        description="When batch work waits: `09:00-18:00`, or `Mon-Fri 09:00-18:00 Europe/Berlin` (default: every day, "
        "UTC). The interactive lane never waits for it.",
    )
    max_waiting_jobs: int = Field(
        default=100_000,
        ge=1,
        description="Jobs of one lane that may wait for admission; further submissions are answered 503.",
    )
    policy_negative_prompt: str = Field(
        default="",
        max_length=2000,
        description="What no picture may show (brand safety). Told to the model with every job, shown in each, never merged "
        "into the approved prompt. Models that take no heed of negative prompts are refused while it is set.",
    )
    check_seconds: float = Field(default=2, gt=0, description="How often overdue work is looked for.")
    callback_secret: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GATEWAY_PROVIDER_CALLBACK_SECRET", "PROVIDER_CALLBACK_SECRET"),
        description="Checks the tokens in callback URLs; the generator signs them with the same. At least 24 bytes. Without it "
        "no provider can call back.",
    )
    callback_secret_previous: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GATEWAY_PROVIDER_CALLBACK_SECRET_PREVIOUS", "PROVIDER_CALLBACK_SECRET_PREVIOUS"),
        description="The one that is being replaced: its tokens still count.",
    )
    callback_signers: SecretStr = Field(
        default=SecretStr("callback"),
        description="Providers that may call back, separated by spaces. One that signs what it sends (Standard Webhooks) with "
        "its secrets: `callback=whsec_new,whsec_old`; what it does not sign is then refused.",
    )

    @classmethod
    def contradictions(cls, given: Mapping[str, str]) -> list[str]:
        problems = super().contradictions(given)
        trusts = given.get("trust_every_caller", "").lower() in _TRUE
        host = given.get("host", "127.0.0.1")
        if not trusts and not is_loopback(host):
            problems.append(
                f"GATEWAY_HOST: {host} is reachable from outside and callers cannot authenticate yet; "
                "listen on 127.0.0.1, or set GATEWAY_TRUST_EVERY_CALLER=true and keep others out by network rules"
            )
        if given.get("environment") == Environment.EMBEDDED and not is_loopback(host):
            problems.append(
                f"GATEWAY_HOST: {host} is reachable from outside; the embedded mode listens on loopback only"
            )
        if given.get("environment") == Environment.PRODUCTION and trusts:
            problems.append(
                "GATEWAY_TRUST_EVERY_CALLER: is refused in production, and callers cannot authenticate yet; "
                "use ENVIRONMENT=development"
            )
        if given.get("s3_bucket") and not given.get("public_image_url"):
            problems.append("PUBLIC_IMAGE_URL: is required because S3_BUCKET is set; it is the bucket's public address")
        problems += _about_callbacks(given)
        scheme = urlsplit(given.get("documents_url", "sqlite://")).scheme
        if scheme not in {"sqlite", "mongodb", "mongodb+srv"}:
            problems.append(
                f"GATEWAY_DOCUMENTS_URL: {scheme or 'no scheme'}: use sqlite:////folder/file or mongodb://..."
            )
        return problems

    @property
    def base_url(self) -> str:
        """Of this API, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.external_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Names under which callers who need not prove who they are may call; None where the network keeps others out."""
        if self.trust_every_caller:
            return None
        external = urlsplit(self.base_url).hostname or self.host
        own = {"localhost", "127.0.0.1", "[::1]", self.host.lower()}
        return frozenset(own | {f"[{external}]" if ":" in external else external})

    @property
    def objects_url(self) -> str:
        """Of the public objects, without a slash at the end."""
        return (self.public_image_url or f"{self.base_url}/cdn").rstrip("/")

    @property
    def serves_objects(self) -> bool:
        """Whether the gateway itself stands in for the CDN."""
        return self.public_image_url is None

    @property
    def callback_tokens(self) -> CallbackTokens:
        """Checks the URLs that were handed out. Without a secret none was, and nothing is right."""
        given = [
            secret.get_secret_value() for secret in (self.callback_secret, self.callback_secret_previous) if secret
        ]
        return CallbackTokens(*given) if self.callback_secret else CallbackTokens(secrets.token_hex(32))

    @property
    def stand_in(self) -> str | None:
        """One machine without weights still makes pictures; elsewhere a model that cannot serve is refused."""
        if self.stand_in_model:
            return self.stand_in_model
        return "preview" if self.environment is Environment.EMBEDDED else None


def _about_callbacks(given: Mapping[str, str]) -> list[str]:
    problems = [
        f"{name}: has fewer than {MINIMUM_SECRET_BYTES} bytes; make one with `openssl rand -hex 32`"
        for field, name in (
            ("callback_secret", "PROVIDER_CALLBACK_SECRET"),
            ("callback_secret_previous", "PROVIDER_CALLBACK_SECRET_PREVIOUS"),
        )
        if given.get(field) and len(given[field].encode()) < MINIMUM_SECRET_BYTES
    ]
    try:
        signers(given.get("callback_signers", ""))
    except ValueError as error:
        problems.append(f"GATEWAY_CALLBACK_SIGNERS: {error}")
    return problems


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
