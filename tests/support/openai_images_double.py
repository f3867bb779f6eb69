"""A double of OpenAI's images API on loopback: pictures made and edited, their errors, and bad days on demand.

It speaks the real wire format, checks the key and each parameter as OpenAI does, and remembers every request and every
call that the real one would have charged for. Models that are named `gpt-image-...` are as strict as OpenAI's; any other
name stands for a compatible server's, which takes any size and answers with an address unless it is asked for base64.

Good pictures are of one colour, which follows from the prompt, the source and the number of the call: no two are equal.
Its error messages quote the prompt, as those of real servers may.
"""

import base64
import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from PIL import Image, UnidentifiedImageError

from imagetron_chassis.errors import Permanent, Transient
from imagetron_contracts.media import Dimensions
from imagetron_generator.domain.renders import SourcePicture
from support.openai_double import (
    Exchange,
    ScriptedApi,
    a_loopback_socket,
    address_of,
    parsed_object,
    read_body,
    served,
)

GPT_MODEL: Final = "gpt-image-2"
OTHER_MODEL: Final = "somebody-elses-model"
"""Of a compatible server."""

_LONGEST_PROMPT: Final = 32_000
_SIZE: Final = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_STANDARD_SIZES: Final = {(1024, 1024), (1536, 1024), (1024, 1536)}
_QUALITIES: Final = {"low", "medium", "high", "auto"}
_LATER_QUALITIES: Final = {"xhigh", "max"}
_FOR_ALL: Final = {
    "prompt",
    "model",
    "n",
    "size",
    "quality",
    "background",
    "output_format",
    "moderation",
    "user",
    "image",
}
_FOR_OTHERS: Final = {"response_format", "style", "seed", "negative_prompt"}
_SOURCE_FORMATS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


@dataclass(frozen=True)
class ImageAsked:
    """One request as it came; `fields` is None where it was neither JSON nor a form. Numbers in a form are text."""

    path: str
    headers: dict[str, str]
    fields: dict[str, Any] | None
    files: dict[str, bytes]

    @property
    def prompt(self) -> str:
        return str((self.fields or {}).get("prompt", ""))

    @property
    def model(self) -> str:
        return str((self.fields or {}).get("model", ""))

    @property
    def is_edit(self) -> bool:
        return self.path.endswith("/edits")

    @property
    def is_of_gpt(self) -> bool:
        return self.model.startswith("gpt-image-")

    @property
    def size(self) -> tuple[int, int]:
        """1024x1024 where none is asked for."""
        asked = _SIZE.fullmatch(str((self.fields or {}).get("size", "")))
        return (int(asked[1]), int(asked[2])) if asked else (1024, 1024)

    @property
    def wants_an_address(self) -> bool:
        return not self.is_of_gpt and (self.fields or {}).get("response_format", "url") == "url"


class ImageCall(Exchange):
    """A request for a picture. `status` and `body` are the answer's, once it has begun."""

    def __init__(self, number: int, asked: ImageAsked, receive, send, keep) -> None:
        super().__init__(number, receive, send, quoted=f"You wrote: {asked.prompt[:2000]}")
        self.asked = asked
        self.status: int | None = None
        self.body = b""
        self.was_left = False
        self._keep = keep

    @property
    def is_paid(self) -> bool:
        """Whether the model has begun: a refusal costs nothing, a server's failure may."""
        return self.status is None or not 400 <= self.status < 500

    async def paints(self, size: tuple[int, int] | None = None) -> None:
        seed = repr((self._number, self.asked.prompt, sorted(self.asked.files.items()))).encode()
        await self.delivers(png_of(size or self.asked.size, hashlib.sha256(seed).digest()))

    async def delivers(self, data: bytes) -> None:
        """These bytes as the picture, in the form that was asked for."""
        if self.asked.wants_an_address:
            await self.lists([{"url": self._keep(data), "revised_prompt": f"In short: {self.asked.prompt[:100]}"}])
        else:
            await self.lists([{"b64_json": base64.b64encode(data).decode()}])

    async def lists(self, data: list[dict[str, Any]] | None) -> None:
        fields = self.asked.fields or {}
        width, height = self.asked.size
        answer: dict[str, Any] = {"created": int(time.time()), "data": data}
        if self.asked.is_of_gpt:
            inputs = {"text_tokens": len(self.asked.prompt) // 4 + 1, "image_tokens": 256 * len(self.asked.files)}
            tokens = sum(inputs.values())
            painted = width * height // 256
            answer |= {
                "background": fields.get("background", "opaque"),
                "output_format": fields.get("output_format", "png"),
                "quality": fields.get("quality", "high"),
                "size": f"{width}x{height}",
                "usage": {
                    "input_tokens": tokens,
                    "input_tokens_details": inputs,
                    "output_tokens": painted,
                    "total_tokens": tokens + painted,
                },
            }
        await self.replies(200, answer)

    async def replies(
        self, status: int, body: Any, *, content_type: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        await super().replies(status, self.body, content_type=content_type, headers=headers)

    async def until_the_caller_leaves(self) -> None:
        await super().until_the_caller_leaves()
        self.was_left = True

    async def _starts(self, status: int, length: int, content_type: str, headers: dict[str, str]) -> None:
        self.status = status
        await super()._starts(status, length, content_type, headers)


@dataclass
class OpenAIImagesDouble(ScriptedApi):
    """`requests` holds all there were, in the order in which they came, well-formed or not."""

    requests: list[ImageAsked] = field(default_factory=list)
    calls: list[ImageCall] = field(default_factory=list)
    """Those that were well-formed."""
    downloads: list[str] = field(default_factory=list)
    _files: dict[str, bytes] = field(default_factory=dict)

    @property
    def paid(self) -> list[ImageCall]:
        """The calls that the real API would, or might, have charged for."""
        return [call for call in self.calls if call.is_paid]

    @property
    def left(self) -> list[ImageCall]:
        """The calls whose callers closed the connection before there was an answer."""
        return [call for call in self.calls if call.was_left]

    def reset(self) -> None:
        """As new: good pictures, and no request seen."""
        super().reset()
        for seen in (self.requests, self.calls, self.downloads):
            seen.clear()
        self._files.clear()

    async def answers_well(self, call: ImageCall) -> None:
        await call.paints()

    def blocked(self, times: int | None = None) -> None:
        """OpenAI's safety system withholds it, before or after it was painted."""
        message = "Your request was rejected by the safety system. safety_violations=[violence]."
        self.refuses_with(400, "moderation_blocked", times, kind="image_generation_user_error", message=message)

    def against_the_policy(self, times: int | None = None) -> None:
        """The same in the words of the models before, and of many compatible servers."""
        message = "Your request was rejected as a result of our safety system."
        self.refuses_with(400, "content_policy_violation", times, message=message)

    def at_its_billing_limit(self, times: int | None = None) -> None:
        message = "Billing hard limit has been reached."
        self.refuses_with(400, "billing_hard_limit_reached", times, message=message)

    def overloaded(self, times: int | None = None) -> None:
        message = "Slow down: the rate of your requests rose too fast."
        self.refuses_with(503, "slow_down", times, kind="service_unavailable_error", message=message)

    def malformed(self, times: int | None = None) -> None:
        """JSON that ends too soon, with a good status."""
        self._script(lambda call: call.replies(200, b'{"created": 1, "data": [{"b64_json": "iVBOR'), times)

    def lists_nothing(self, times: int | None = None) -> None:
        self._script(lambda call: call.lists([]), times)

    def lists_null(self, times: int | None = None) -> None:
        self._script(lambda call: call.lists(None), times)

    def lists_an_empty_entry(self, times: int | None = None) -> None:
        """Neither base64 nor an address: a compatible server's way to withhold a picture."""
        self._script(lambda call: call.lists([{"b64_json": None, "url": None}]), times)

    def bad_base64(self, times: int | None = None) -> None:
        """A good picture but for one character, which lenient readers skip."""

        async def answer(call: ImageCall) -> None:
            data = png_of(call.asked.size, b"red")
            await call.lists([{"b64_json": f"!{base64.b64encode(data).decode()}"}])

        self._script(answer, times)

    def wrong_size(self, times: int | None = None) -> None:
        self._script(lambda call: call.paints((64, 48)), times)

    def not_a_picture(self, times: int | None = None) -> None:
        self._script(lambda call: call.delivers(f"Sorry, {call.asked.prompt}".encode()), times)

    def loses_the_picture(self, times: int | None = None) -> None:
        """An address where nothing is."""
        self._script(lambda call: call.lists([{"url": f"{self._origin}/files/gone.png?sig=secret"}]), times)

    def sends_elsewhere(self, url: str, times: int | None = None) -> None:
        self._script(lambda call: call.replies(307, b"", headers={"location": url}), times)

    # The server.

    @property
    def _origin(self) -> str:
        return self.base_url.removesuffix("/v1")

    async def __call__(self, scope, receive, send) -> None:
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        fields, files = _read(headers, await read_body(receive))
        asked = ImageAsked(scope["path"], headers, fields, files)
        call = ImageCall(next(self._numbers), asked, receive, send, self._keep)
        match scope["method"], scope["path"]:
            case "GET", path if path.startswith("/files/"):
                await self._serves(call, path)
            case "POST", "/v1/images/generations" | "/v1/images/edits":
                await self._answers(call)
            case method, path:
                await call.fails(404, f"Invalid URL ({method} {path})")

    async def _serves(self, call: ImageCall, path: str) -> None:
        self.downloads.append(path)
        data = self._files.get(path)
        if data is None:
            await call.replies(404, b"gone", content_type="text/plain")
        else:
            await call.replies(200, data, content_type="image/png")

    async def _answers(self, call: ImageCall) -> None:
        self.requests.append(call.asked)
        if not self.is_known(call.asked.headers):
            await call.fails(401, "Incorrect API key provided: sk-wrong****.", code="invalid_api_key")
            return
        fault = _fault(call.asked)
        if fault is not None:
            await call.fails(400, fault.message, code=fault.code, param=fault.param)
            return
        self.calls.append(call)
        await self.behave(call)

    def _keep(self, data: bytes) -> str:
        path = f"/files/{len(self._files)}.png"
        self._files[path] = data
        return f"{self._origin}{path}?sig=secret"


@contextmanager
def an_openai_images_double() -> Iterator[OpenAIImagesDouble]:
    """A server of one's own, in a thread with its own loop: callers that block their loop do not block it."""
    with a_loopback_socket() as listener:
        double = OpenAIImagesDouble(f"http://{address_of(listener)}/v1")
        with served(double, listener):
            yield double


def png_of(size: tuple[int, int], colour: bytes) -> bytes:
    """A picture of one colour, the first three bytes."""
    file = io.BytesIO()
    Image.new("RGB", size, (colour[0], colour[1], colour[2])).save(file, "PNG", compress_level=1)
    return file.getvalue()


async def decoded(data: bytes) -> SourcePicture:
    """What stands behind the adapter's `read_picture` in tests."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = image.convert("RGB").tobytes()
            return SourcePicture(pixels, Dimensions(width=image.width, height=image.height))
    except UnidentifiedImageError:
        raise Permanent(f"no picture: {data[:2000]!r}") from None


async def downloaded(url: str) -> bytes:
    """What stands behind the adapter's `fetch` in tests."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(url)
    if answer.status_code != httpx.codes.OK:
        raise Transient(f"{url} answered {answer.status_code}")
    return answer.content


@dataclass(frozen=True)
class _Fault:
    message: str
    param: str
    code: str = "invalid_value"


def _fault(asked: ImageAsked) -> _Fault | None:
    """What OpenAI would say against the request."""
    fields = asked.fields
    if fields is None:
        return _Fault("We could not parse the body of your request.", "body", "invalid_json")
    if asked.is_edit and not asked.headers.get("content-type", "").startswith("multipart/form-data"):
        return _Fault("Unsupported content type.", "body", "unsupported_content_type")
    known = _FOR_ALL if asked.is_of_gpt else _FOR_ALL | _FOR_OTHERS
    for name in fields:
        if name not in known:
            return _Fault(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    for name in ("prompt", "model"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            return _Fault(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    if len(asked.prompt) > _LONGEST_PROMPT:
        return _Fault(f"The prompt is longer than {_LONGEST_PROMPT}.", "prompt", "string_above_max_length")
    if str(fields.get("n", 1)) not in {str(count) for count in range(1, 11)}:
        return _Fault("Invalid value: 'n' must be 1 to 10.", "n")
    if asked.is_edit and not asked.files.get("image", b"").startswith(_SOURCE_FORMATS):
        return _Fault("Invalid image file or mode for image 1.", "image", "invalid_image_file")
    return _size_fault(asked) or _choice_fault(asked)


def _size_fault(asked: ImageAsked) -> _Fault | None:
    size = str((asked.fields or {}).get("size", "auto"))
    if size == "auto":
        return None
    if _SIZE.fullmatch(size) is None:
        return _Fault(f"Invalid size '{size}'.", "size")
    if not asked.is_of_gpt:
        return None
    width, height = asked.size
    if asked.model.startswith("gpt-image-1"):
        fits = (width, height) in _STANDARD_SIZES
    else:
        fits = (
            width % 16 == 0
            and height % 16 == 0
            and max(width, height) <= min(3840, 3 * min(width, height))
            and 655_360 <= width * height <= 8_294_400
        )
    return None if fits else _Fault(f"Invalid size '{size}' for this model.", "size")


def _choice_fault(asked: ImageAsked) -> _Fault | None:
    qualities = _QUALITIES | _LATER_QUALITIES if asked.model.startswith("gpt-image-2.") else _QUALITIES
    choices = {
        "quality": qualities,
        "background": {"transparent", "opaque", "auto"},
        "output_format": {"png", "webp", "jpeg"},
        "response_format": {"url", "b64_json"},
    }
    for name, allowed in choices.items():
        if name in (asked.fields or {}) and (asked.fields or {})[name] not in allowed:
            return _Fault(f"Invalid value for '{name}'.", name)
    return None


def _read(headers: dict[str, str], body: bytes) -> tuple[dict[str, Any] | None, dict[str, bytes]]:
    kind, _, boundary = headers.get("content-type", "").partition("boundary=")
    if kind.startswith("multipart/form-data"):
        return _form(body, boundary.encode())
    return parsed_object(body), {}


def _form(body: bytes, boundary: bytes) -> tuple[dict[str, Any] | None, dict[str, bytes]]:
    """The fields and files of a form (RFC 7578), byte for byte; the standard library's mail parser would mend newlines."""
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        if name is None:
            return None, {}
        value = content.removesuffix(b"\r\n")
        if b"filename=" in head:
            files[name[1].decode()] = value
        else:
            fields[name[1].decode()] = value.decode()
    return fields, files
