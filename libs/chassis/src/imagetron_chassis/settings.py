"""What every service's settings share, and the way wrong ones are reported: all at once, before anything starts.

`os.environ` is read here and nowhere else.
"""

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from imagetron_chassis.faults import PLAN_PATTERN

EX_CONFIG = 78
"""sysexits.h: something was found in an unconfigured or misconfigured state."""


class Environment(StrEnum):
    EMBEDDED = "embedded"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class BaseServiceSettings(BaseModel):
    """Settings of any service: frozen, described, read once. A service's own carry its prefix; these have none."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    PREFIX: ClassVar[str] = ""
    USES_OBJECTS: ClassVar[bool] = True
    """False for a service without pictures: it needs no object store."""

    environment: Environment = Field(
        default=Environment.DEVELOPMENT,
        validation_alias="ENVIRONMENT",
        description="`embedded`: one machine, everything on loopback. `production` refuses what is only for development.",
    )
    amqp_url: SecretStr = Field(
        validation_alias="AMQP_URL", description="RabbitMQ: amqp://user:password@host:port/vhost. Required."
    )
    storage_path: Path | None = Field(
        default=None,
        validation_alias="STORAGE_PATH",
        description="Folder for objects (`work/` and `public/` inside). Needed unless S3_BUCKET is set.",
    )
    s3_bucket: str | None = Field(
        default=None,
        validation_alias="S3_BUCKET",
        description="Bucket of the public objects (Cloudflare R2 or any S3).",
    )
    s3_work_bucket: str | None = Field(
        default=None, validation_alias="S3_WORK_BUCKET", description="Private bucket of renders and specs; expire it."
    )
    s3_endpoint: str | None = Field(
        default=None, validation_alias="S3_ENDPOINT", description="Endpoint URL of the S3 store."
    )
    s3_region: str = Field(default="auto", validation_alias="S3_REGION", description="Region; R2 wants `auto`.")
    s3_access_key_id: str | None = Field(
        default=None, validation_alias="S3_ACCESS_KEY_ID", description="Access key of the S3 store."
    )
    s3_secret_access_key: SecretStr | None = Field(
        default=None, validation_alias="S3_SECRET_ACCESS_KEY", description="Secret key of the S3 store."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias="LOG_LEVEL", description="Least important lines that are written."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", validation_alias="LOG_FORMAT", description="`json` for machines, `console` for people."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Collector for traces (OTLP over HTTP), for example http://otel-collector:4318.",
    )
    spans_file: Path | None = Field(
        default=None, validation_alias="SPANS_FILE", description="Append spans to this file as JSON lines."
    )
    probes_host: str = Field(
        default="127.0.0.1", validation_alias="PROBES_HOST", description="Where /healthz, /readyz and /metrics listen."
    )
    probes_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        validation_alias="PROBES_PORT",
        description="Their port; each service has its own.",
    )
    shutdown_grace_seconds: float = Field(
        default=20,
        ge=0,
        validation_alias="SHUTDOWN_GRACE_SECONDS",
        description="How long a stopping service may finish what it has in hand before it hands it back.",
    )
    fault_plan: str | None = Field(
        default=None,
        pattern=PLAN_PATTERN,
        validation_alias="FAULT_PLAN",
        description="For fault tests: `point=n,...`, where this process kills itself. Refused in production.",
    )
    fault_ledger: Path | None = Field(
        default=None, validation_alias="FAULT_LEDGER", description="File that gets a line for each planned death."
    )

    @classmethod
    def contradictions(cls, given: Mapping[str, str]) -> list[str]:
        """What is wrong between fields, in sentences. Gets raw text by field name, so that it runs beside other errors."""
        problems = []
        if given.get("fault_plan") and given.get("environment") == Environment.PRODUCTION:
            problems.append("FAULT_PLAN: is refused in production; it kills the process")
        if not cls.USES_OBJECTS:
            return problems
        if given.get("s3_bucket"):
            needed = ("s3_work_bucket", "s3_endpoint", "s3_access_key_id", "s3_secret_access_key")
            missing = [name.upper() for name in needed if not given.get(name)]
            problems += [f"{name}: is required because S3_BUCKET is set" for name in missing]
        elif not given.get("storage_path"):
            problems.append("STORAGE_PATH or S3_BUCKET: set one of them; objects need a place")
        return problems


class WrongConfiguration(Exception):
    """The settings cannot be used. `problems` has one sentence for each, naming the variable."""

    def __init__(self, service: str, problems: list[str]) -> None:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{service}: {len(problems)} problem(s) in the configuration:\n{listed}")
        self.problems = problems


SettingsT = TypeVar("SettingsT", bound=BaseServiceSettings)


def load(settings: type[SettingsT], service: str, environ: Mapping[str, str] | None = None) -> SettingsT:
    """Read the settings, or raise WrongConfiguration with every problem, unknown variables of our prefix included.

    `environ` is for tests; the process environment is the default.
    """
    given_by_environment = dict(os.environ if environ is None else environ)
    names = variables(settings)
    problems = _unknown(
        given_by_environment, {alias for aliases in names.values() for alias in aliases}, settings.PREFIX
    )
    given = {}
    for field, aliases in names.items():
        # Aliases of one field: the prefixed name comes first in the declaration and wins. Empty means not set.
        chosen = next((given_by_environment[alias] for alias in aliases if given_by_environment.get(alias)), None)
        if chosen is not None:
            given[field] = chosen
    problems += settings.contradictions(given)
    try:
        loaded = settings.model_validate(given)
    except ValidationError as error:
        problems += [_sentence(problem, settings) for problem in error.errors(include_url=False, include_input=False)]
    else:
        if not problems:
            return loaded
    raise WrongConfiguration(service, problems)


def load_or_exit(settings: type[SettingsT], service: str) -> SettingsT:
    """As `load`; a wrong configuration is printed and ends the process with status 78."""
    try:
        return load(settings, service)
    except WrongConfiguration as error:
        print(error, file=sys.stderr)  # noqa: T201 - logs are not set up yet, and a person is reading
        raise SystemExit(EX_CONFIG) from None


def variables(settings: type[BaseServiceSettings]) -> dict[str, list[str]]:
    """Field -> names of its environment variables, the preferred one first."""
    names = {}
    for field, info in settings.model_fields.items():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices):
            names[field] = [choice for choice in alias.choices if isinstance(choice, str)]
        else:
            names[field] = [alias if isinstance(alias, str) else f"{settings.PREFIX}{field}".upper()]
    return names


def _unknown(environment: Mapping[str, str], known: set[str], prefix: str) -> list[str]:
    if not prefix:
        return []
    problems = []
    for name in sorted(set(environment) - known):
        if name.startswith(prefix):
            hint = get_close_matches(name, sorted(known), n=1)
            problems.append(f"{name}: no such setting" + (f"; did you mean {hint[0]}?" if hint else ""))
    return problems


def _sentence(problem: Any, settings: type[BaseServiceSettings]) -> str:  # noqa: ANN401 - pydantic's error details
    field = str(problem["loc"][0]) if problem["loc"] else ""
    names = variables(settings)
    variable = names[field][0] if field in names else field
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        description = settings.model_fields[field].description if field in settings.model_fields else None
        message = f"is required. {description or ''}".strip()
    return f"{variable}: {message}" if variable else message
