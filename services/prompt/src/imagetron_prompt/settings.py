"""The prompt service's settings."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr

from imagetron_chassis.settings import BaseServiceSettings
from imagetron_prompt.domain.prompts import DEFAULT_STATUSES, parse_statuses

_STORES: Final = {"sqlite", "mongodb", "mongodb+srv"}


class EnhanceFallback(StrEnum):
    """Who enhances a prompt when the language model cannot."""

    NONE = "none"
    OFFLINE = "offline"


def _statuses(value: object) -> object:
    return parse_statuses(value) if isinstance(value, str) else value


class Settings(BaseServiceSettings):
    """Where its documents are, which language model it asks and at what price, how prompts may be labelled."""

    PREFIX: ClassVar[str] = "PROMPT_"
    USES_OBJECTS: ClassVar[bool] = False

    documents_url: SecretStr = Field(
        description="Prompts, chats and the ledger of paid calls: sqlite:////folder/file.sqlite3 or mongodb://...; required."
    )
    openai_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("PROMPT_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key of the language model's account. Without one no language model is asked: templates write.",
    )
    openai_base_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+.*$",
        validation_alias=AliasChoices("PROMPT_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Another server that speaks OpenAI's protocol. Default: OpenAI's own.",
    )
    model: str = Field(default="gpt-4.1-mini", min_length=1, description="The language model that is asked.")
    price_input: Decimal | None = Field(
        default=None, ge=0, description="US dollars for a million tokens that the model reads; needed to count costs."
    )
    price_output: Decimal | None = Field(default=None, ge=0, description="The same for those that it writes.")
    statuses: Annotated[tuple[str, ...], BeforeValidator(_statuses)] = Field(
        default=DEFAULT_STATUSES,
        validate_default=True,
        description="Labels that people may give to their prompts, separated by commas; the first is that of a new one.",
    )
    enhance_fallback: EnhanceFallback = Field(
        default=EnhanceFallback.NONE,
        description="`offline`: a template enhances the prompt when the language model cannot, and the answer says so. "
        "`none`: the caller is told.",
    )

    @classmethod
    def contradictions(cls, given: Mapping[str, str]) -> list[str]:
        problems = super().contradictions(given)
        scheme = urlsplit(given.get("documents_url", "sqlite://")).scheme
        if scheme not in _STORES:
            problems.append(
                f"PROMPT_DOCUMENTS_URL: {scheme or 'no scheme'}: use sqlite:////folder/file or mongodb://..."
            )
        if bool(given.get("price_input")) != bool(given.get("price_output")):
            problems.append("PROMPT_PRICE_INPUT and PROMPT_PRICE_OUTPUT: set both, or none")
        return problems
