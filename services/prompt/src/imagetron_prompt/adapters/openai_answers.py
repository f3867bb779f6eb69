"""The answers that a language model is asked for, as strict JSON schemas, and how they are read. Nothing is called here."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from imagetron_prompt.domain.written import Draft
from imagetron_prompt.ports import Declined, Unusable

AnswerT = TypeVar("AnswerT", bound=BaseModel)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("blank")
    return text


# A validator and no minLength: servers differ in which keywords of JSON Schema they take.
_Text = Annotated[str, AfterValidator(_not_blank)]


class _Answer(BaseModel):
    """Asked for as a strict schema: nothing optional, nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FinalPrompt(_Answer):
    final_prompt: _Text = Field(alias="finalPrompt")


class Subjects(_Answer):
    subjects: list[_Text]


class SubjectPrompt(_Answer):
    subject: int
    title: _Text
    text: _Text


class Prompts(_Answer):
    prompts: list[SubjectPrompt]


class Title(_Answer):
    title: _Text


class Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    message: Message
    finish_reason: str | None = None


class Tokens(BaseModel):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Completion(BaseModel):
    """Of a server's answer, what we read. The SDK's own class lets any shape pass."""

    choices: list[Choice]
    usage: Tokens | None = None


def answered(completion: Completion, form: type[AnswerT]) -> AnswerT:
    """What the language model says, if it is what it was asked for; else Declined or Unusable."""
    if not completion.choices:
        raise Unusable("the language model's answer is empty")
    choice = completion.choices[0]
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        raise Declined("the language model declines to write about this")
    if choice.finish_reason == "length":
        raise Unusable("the language model's answer was cut off at the bound for its output")
    answer = _validated(form, choice.message.content or "")
    if answer is None:
        raise Unusable("the language model's answer does not have the form that was asked for")
    return answer


def _validated(form: type[AnswerT], text: str) -> AnswerT | None:
    try:
        return form.model_validate_json(text)
    except ValidationError:  # it quotes what it read, so it ends here
        return None


def drafts(answer: Prompts, subjects: Sequence[str], per_subject: int) -> tuple[Draft, ...]:
    """In the order of the subjects; Unusable unless each has its number."""
    ordered = sorted(answer.prompts, key=lambda prompt: prompt.subject)
    wanted = [index for index in range(len(subjects)) for _ in range(per_subject)]
    if [prompt.subject for prompt in ordered] != wanted:
        raise Unusable("the language model wrote another number of prompts than was asked for")
    return tuple(Draft(subjects[prompt.subject], prompt.title, prompt.text) for prompt in ordered)
