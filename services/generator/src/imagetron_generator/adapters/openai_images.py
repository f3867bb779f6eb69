"""Pictures by OpenAI's images API, or by any server that speaks it.

A call is one picture and is paid for once it has begun, so none is made twice in here. Neither the request nor the answer
is in any error: errors are raised where the exception that holds them is out of reach.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit, OpenAIError, Timeout, omit
from pydantic import SecretStr

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.openai_images_answers import Answer, read_answer
from imagetron_generator.adapters.openai_images_errors import translated
from imagetron_generator.adapters.openai_images_png import png
from imagetron_generator.adapters.openai_images_sizes import is_gpt_image, objection_to
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture
from imagetron_generator.ports import ModelFailed, ModelRefused, ModelTimedOut, OnStep

OPENAI_URL: Final = "https://api.openai.com/v1"
_CONNECT_SECONDS: Final = 5.0

Fetch = Callable[[str], Awaitable[bytes]]
"""Downloads what an answer's URL names. Raises ChassisError; the address is not ours and not to be trusted."""

ReadPicture = Callable[[bytes], Awaitable[SourcePicture]]
"""Decodes a picture of any common format. Raises ChassisError; the bytes are not ours and not to be trusted."""

Quality = Literal["low", "medium", "high", "xhigh", "max"]
"""As GPT image models name it; the last two are known from gpt-image-2.5 on."""

Form = Literal["b64_json", "url"]
"""How the picture comes. GPT image models know base64 alone, and refuse to be asked."""

T = TypeVar("T")


class OpenAIImageModel:
    """One client for the process; it connects at the first call and keeps its connections.

    The API has no seed, no steps, no guidance and no strength: they go nowhere. Nor has it a negative prompt: one that is
    not empty is refused, because nothing is ever merged into a prompt unseen. Progress is begun and done.

    Nothing of the process's environment is heeded: no key, organisation, headers or proxy that stand there.
    """

    def __init__(
        self,
        base_url: str | None,
        api_key: SecretStr,
        *,
        fetch: Fetch,
        read_picture: ReadPicture,
        model: str | None = None,
        quality: Quality | None = None,
        form: Form | None = None,
    ) -> None:
        """`model` is sent in place of the request's, where the server has another name for it.

        `quality` and `form` are sent if given: without them the server decides, on the price too.
        """
        self._client = _Client(base_url or OPENAI_URL, api_key.get_secret_value())
        self._fetch = fetch
        self._read_picture = read_picture
        self._model = model
        self._quality = quality
        self._form = form

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        model = self._model or request.model
        _check(request, model)
        failure: ChassisError
        try:
            # Ours is the deadline that counts: the SDK's timeouts begin anew with every byte that trickles in.
            async with asyncio.timeout(deadline_seconds):
                on_step(0, 1)
                rendered = await self._rendered(request, model, deadline_seconds)
        except TimeoutError:
            failure = ModelTimedOut(f"the model {model} did not answer within {deadline_seconds:.1f} s")
        except OpenAIError as error:
            failure = translated(error, model)
        except UnicodeError:
            failure = ModelRefused(
                f"the prompt or the API key for the model {model} has characters that cannot be sent"
            )
        else:
            on_step(1, 1)
            return rendered
        raise failure

    async def close(self) -> None:
        await self._client.close()

    async def _rendered(self, request: RenderRequest, model: str, deadline_seconds: float) -> Rendered:
        answer = await asyncio.to_thread(read_answer, await self._called(request, model, deadline_seconds), model)
        picture = await self._pictured(await self._loaded(answer, model), model)
        if picture.size != request.size:
            raise ModelFailed(f"the model {model} was asked for {request.size} and answered with {picture.size}")
        return Rendered(picture.pixels, picture.size, self._fingerprint(model), answer_digest=answer.digest)

    async def _called(self, request: RenderRequest, model: str, deadline_seconds: float) -> bytes:
        """The body of the answer, as it came."""
        # A server that cannot be reached is found out long before the deadline.
        timeout = Timeout(deadline_seconds, connect=min(_CONNECT_SECONDS, deadline_seconds / 3))
        # Left to itself, a GPT image model may leave the background out.
        background: Literal["opaque"] | Omit = "opaque" if is_gpt_image(model) else omit
        images = self._client.images.with_raw_response
        if request.verb is Verb.VARY and request.source is not None:
            answered = await images.edit(
                image=("source.png", await asyncio.to_thread(png, request.source), "image/png"),
                prompt=request.prompt,
                model=model,
                n=1,
                size=str(request.size),
                background=background,
                quality=self._quality or omit,
                response_format=self._form or omit,
                timeout=timeout,
            )
        else:
            answered = await images.generate(
                prompt=request.prompt,
                model=model,
                n=1,
                size=str(request.size),
                background=background,
                quality=self._quality or omit,
                response_format=self._form or omit,
                timeout=timeout,
            )
        return answered.http_response.content

    async def _loaded(self, answer: Answer, model: str) -> bytes:
        if answer.url is None:
            return answer.data or b""
        fetched = await _or_error(self._fetch(answer.url))
        if isinstance(fetched, ChassisError):
            raise ModelFailed(f"the picture of the model {model} could not be fetched ({type(fetched).__name__})")
        return fetched

    async def _pictured(self, data: bytes, model: str) -> SourcePicture:
        picture = await _or_error(self._read_picture(data))
        if isinstance(picture, ChassisError):
            raise ModelFailed(f"the model {model} answered with no picture that we can read ({type(picture).__name__})")
        return picture

    def _fingerprint(self, model: str) -> str:
        """Pictures of equal requests differ: `unseeded` says so."""
        return " ".join(part for part in ("openai", model, self._quality, "unseeded") if part)


class _Client(AsyncOpenAI):
    """Sends what it is given and nothing else: the SDK adds headers that the environment names."""

    def __init__(self, base_url: str, key: str) -> None:
        if not key:
            raise ValueError("the API key for the images API is empty: a server that needs none takes any word")
        super().__init__(
            base_url=base_url,
            api_key=key,
            # Empty and not left out, or the SDK would look into the environment.
            admin_api_key="",
            webhook_secret="",
            max_retries=0,
            timeout=None,
            # A redirected request would carry the prompt to another host.
            http_client=DefaultAsyncHttpxClient(trust_env=False, follow_redirects=False),
        )

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        return {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "imagetron"}


def _check(request: RenderRequest, model: str) -> None:
    """Raises ModelRefused for what the API cannot do, before it costs anything."""
    if request.negative_prompt:
        raise ModelRefused(f"the model {model} takes no negative prompt: leave it empty")
    if request.verb is Verb.UPSCALE:
        raise ModelRefused(f"the model {model} does not upscale: it would paint another picture")
    if request.verb is Verb.VARY and request.source is None:
        raise ModelRefused(f"the model {model} needs the picture that it is to vary")
    if objection := objection_to(request.size, model):
        raise ModelRefused(f"the model {model} makes no pictures of {request.size}: {objection}")


async def _or_error(work: Awaitable[T]) -> T | ChassisError:
    """What it raised as a value: an exception that is raised from it would carry its sentence along."""
    try:
        return await work
    except ChassisError as error:
        return error
