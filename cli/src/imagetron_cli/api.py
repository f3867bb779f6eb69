"""The gateway as a client sees it: submit a variation, look at it, fetch its pictures. Nothing is printed or stored here."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from pydantic import Field, ValidationError

from imagetron_cli.errors import Trouble
from imagetron_contracts import Value

ENDED: Final = frozenset({"complete", "partial", "failed", "cancelled"})
_SECONDS: Final = 15.0
# Looking through a long queue of dead letters, or sending many home, takes its time.
_OPERATORS_SECONDS: Final = 60.0
_SILENCE_SECONDS: Final = 45.0
_LOOPBACK: Final = ("http://127.0.0.1", "http://localhost", "http://[::1]")


class Generation(Value):
    """What to make. What is None is left to the gateway."""

    prompt: str
    negative_prompt: str | None = None
    seed: int | None = None
    model: str | None = None
    inference_steps: int | None = None
    guidance_scale: float | None = None


class Watermark(Value):
    """A line of text on every picture."""

    text: str
    placement: str | None = None


class Output(Value):
    """How the files are made. What is None is left to the gateway."""

    formats: tuple[str, ...] | None = None
    profile: str | None = None
    watermark: Watermark | None = None
    embed_prompt: bool | None = None


class Order(Value):
    """The body of a submission."""

    name: str
    category: str
    families: tuple[str, ...]
    generation: Generation
    output: Output | None = None
    is_dx_job: bool = False


class Failure(Value):
    """Why a family has no pictures."""

    code: str
    message: str


class FamilyState(Value):
    """How far a family is; `progress` runs from 0 to 1."""

    status: str
    progress: float = 0.0
    error: Failure | None = None


class Picture(Value):
    """One published picture. A master has its family's name; `image` is its index within the family."""

    family: str
    name: str
    image: int = 0
    url: str
    width: int
    height: int
    format: str = "webp"


class Variation(Value):
    """What the gateway tells of a variation, as far as a client here needs it."""

    id: str
    name: str
    status: str
    families: dict[str, FamilyState] = Field(default_factory=dict)
    derivatives: tuple[Picture, ...] = ()
    error: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class ProblemField(Value):
    """A place in the request and what is wrong there."""

    pointer: str
    detail: str


class Problem(Value):
    """An RFC 9457 problem, as the gateway words it."""

    status: int
    title: str = "The gateway refused"
    detail: str = ""
    code: str = ""
    trace_id: str | None = None
    retryable: bool = False
    errors: tuple[ProblemField, ...] = ()


class Unreachable(Trouble):
    """Nobody answers there, or not now."""


class Refused(Trouble):
    """The gateway understood, and said no. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        places = "".join(f"\n  {error.pointer}: {error.detail}" for error in problem.errors)
        trace = f"\n  (trace {problem.trace_id})" if problem.trace_id else ""
        super().__init__(f"{problem.title}: {problem.detail}{places}{trace}")
        self.problem = problem


class Gateway:
    """A connection to one gateway; use it as an async context manager."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        # A proxy for the outside world has no way to this machine's loopback.
        is_here = self.url.startswith(_LOOPBACK)
        self._client = httpx.AsyncClient(
            base_url=self.url, timeout=_SECONDS, transport=transport, trust_env=not is_here
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def submit(self, order: Order) -> Variation:
        """Raises Refused and Unreachable, as all calls do."""
        body = order.model_dump(mode="json", by_alias=True, exclude_none=True)
        return self._read(await self._ask("POST", "/api/images/variations", json=body))

    async def variation(self, variation_id: str) -> Variation:
        return self._read(await self._ask("GET", f"/api/images/variations/{variation_id}"))

    async def picture(self, url: str) -> bytes:
        return (await self._ask("GET", url)).content

    async def admin(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's own
        """An operator's request under /api/admin; the answer as it is. It may take longer than a caller's."""
        return self._document(await self._ask(method, f"/api/admin/{path}", timeout=_OPERATORS_SECONDS, **arguments))

    async def crops(self, job_id: str, family: str) -> dict[str, Any]:
        """How a family's pictures were cut; the answer as it is."""
        return self._document(await self._ask("GET", _crops(job_id, family)))

    async def crops_drawn(self, job_id: str, family: str, image: int) -> bytes:
        """The same as a PNG: windows and what must stay, on the image's render."""
        shown = {"format": "png", "image": image}
        return (await self._ask("GET", _crops(job_id, family), params=shown, timeout=_OPERATORS_SECONDS)).content

    async def cut_again(self, job_id: str, family: str, subject: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for the family's pictures to be cut again with these fields of its subject changed."""
        return self._document(await self._ask("PATCH", _crops(job_id, family), json=dict(subject)))

    def _document(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except ValueError as error:
            raise Unreachable(f"What answers at {self.url} is not an Imagetron gateway: {error}") from error
        if not isinstance(body, dict):
            raise Unreachable(f"What answers at {self.url} is not an Imagetron gateway")
        return body

    async def events(
        self, parameters: Mapping[str, Any], begun: Callable[[], None] = lambda: None
    ) -> AsyncIterator[dict[str, Any]]:
        """Public events as they happen, until the gateway ends the stream. Raises Refused, Unreachable."""
        # The gateway sends a sign of life every 15 seconds.
        waiting = httpx.Timeout(_SECONDS, read=_SILENCE_SECONDS)
        try:
            async with self._client.stream("GET", "/api/admin/events", params=parameters, timeout=waiting) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise self._refusal(answer)
                begun()
                async for event in _events(answer.aiter_text()):
                    yield event
        except httpx.HTTPError as error:
            raise self._no_answer(error) from error

    async def _ask(self, method: str, url: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            answer = await self._client.request(method, url, **arguments)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unreachable(f"{self.url} is not the URL of a gateway: {error}") from error
        except httpx.HTTPError as error:
            raise self._no_answer(error) from error
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def _no_answer(self, error: httpx.HTTPError) -> Unreachable:
        reason = str(error) or type(error).__name__
        return Unreachable(f"No gateway answers at {self.url} ({reason}). Start one with `make up`.")

    def _refusal(self, answer: httpx.Response) -> Trouble:
        problem = _problem(answer)
        if answer.is_server_error:
            return Unreachable(f"{self.url} cannot serve now: {Refused(problem)}")
        return Refused(problem)

    def _read(self, answer: httpx.Response) -> Variation:
        try:
            return Variation.model_validate_json(answer.content)
        except ValidationError as error:
            raise Unreachable(f"What answers at {self.url} is not an Imagetron gateway: {error}") from error


async def _events(chunks: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each server-sent event. Lines end at line feeds alone: JSON may hold other characters that look like it."""
    rest = ""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def _crops(job_id: str, family: str) -> str:
    return f"/api/jobs/{quote(job_id, safe='')}/families/{quote(family, safe='')}/crops"


def _problem(answer: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        phrase = HTTPStatus(answer.status_code).phrase
        return Problem(status=answer.status_code, title=f"{answer.status_code} {phrase}", detail=f"from {answer.url}")
