"""What an images API answered: one picture as base64 or as an address. Slow for a large one: not for the event loop."""

import hashlib
from base64 import b64decode
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError

from imagetron_generator.ports import ModelFailed


@dataclass(frozen=True, slots=True)
class Answer:
    """The picture's file, or where it is to be fetched."""

    digest: str
    """sha256 in hex of the body as it came."""
    data: bytes | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    """May hold a token of the provider."""


class _Image(BaseModel):
    b64_json: str | None = None
    url: str | None = None


class _Body(BaseModel):
    """Only what we need: servers differ in the rest. A GPT image has no address, others may have both or either."""

    data: list[_Image] | None = None


def read_answer(body: bytes, model: str) -> Answer:
    """Raises ModelFailed where there is no picture in it. Quotes nothing: the body may repeat the prompt."""
    image = _only_image(body, model)
    digest = hashlib.sha256(body).hexdigest()
    if image.b64_json:
        return Answer(digest, data=_decoded(image.b64_json, model))
    if image.url:
        return Answer(digest, url=image.url)
    raise ModelFailed(f"the model {model} answered with neither a picture nor its address")


def _only_image(body: bytes, model: str) -> _Image:
    try:
        parsed = _Body.model_validate_json(body)
    except ValidationError:
        parsed = None
    # Raised out here: pydantic's error holds what it read.
    if parsed is None:
        raise ModelFailed(f"the server of the model {model} answered with something else than a list of pictures")
    if not parsed.data:
        raise ModelFailed(f"the model {model} answered with an empty list of pictures")
    return parsed.data[0]


def _decoded(text: str, model: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data:
        raise ModelFailed(f"the model {model} answered with a picture in broken base64")
    return data
