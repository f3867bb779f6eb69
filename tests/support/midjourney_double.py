"""A double of an intermediary that has Midjourney's commands and calls back (the wire format of adapters/called_back.py).

`with a_midjourney_double() as double: ... double.base_url, double.api_key`. Tasks live by the clock: a step each
`step_seconds`, told to the order's `callback_url` over HTTP. A mood says how the next tasks go, and how they are told.
"""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image

from support.provider_double import (
    METADATA_URL,
    Asked,
    Operation,
    Picture,
    Pictures,
    ProviderDouble,
    Refusal,
    format_at,
    served,
)

_ACTIONS: Final = {"imagine": 4, "reroll": 4, "variation": 4, "upscale": 1}
_ENDED: Final = {"finished", "failed", "cancelled"}
_TOKEN_END: Final = 22


class Calls(Enum):
    """How a task is told to its callback URL."""

    IN_ORDER = auto()
    NEVER = auto()
    BEFORE_THE_ANSWER = auto()
    """All of it, before the submission is answered."""
    FIVEFOLD = auto()
    """Each of them five times at once."""
    REORDERED = auto()
    """The last first."""
    FORGED = auto()
    """With another end of the token."""
    MISSIGNED = auto()
    """With a signature of another key."""


class Ending(Enum):
    """How a task ends."""

    FINISHED = auto()
    FAILED = auto()
    AGAINST_POLICY = auto()
    NEVER = auto()
    """It stays at its last progress."""
    FORGOTTEN = auto()
    """It is accepted, and never heard of again."""


@dataclass(frozen=True)
class Mood:
    calls: Calls = Calls.IN_ORDER
    ending: Ending = Ending.FINISHED
    pictures: Pictures = Pictures.GOOD
    progress: tuple[int, ...] = (30, 70)
    """In percent; may go backwards."""
    step_seconds: float = 0.02
    late_seconds: float | None = None
    """Nothing is told until so long after the end; then all of it."""
    tries: int = 1
    """Of each callback, until it is answered with a 2xx; a step apart."""


@dataclass(frozen=True)
class Called:
    """One callback that was posted, and what it was answered: None where there was no answer."""

    task: str
    status: str
    answer: int | None


@dataclass
class _Task:
    id: str
    body: dict[str, Any]
    of: tuple[object, ...]
    mood: Mood
    status: str = "pending"
    progress: int = 0
    images: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, str] | None = None
    told: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def reference(self) -> str | None:
        return self.body.get("reference")

    @property
    def has_ended(self) -> bool:
        return self.status in _ENDED

    async def pause(self, seconds: float) -> None:
        """Ends early for a task that is cancelled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopped.wait()

    def shown(self) -> dict[str, Any]:
        return {
            "task_id": self.id,
            "status": self.status,
            "progress": self.progress,
            "images": list(self.images),
            "error": self.error,
            "reference": self.reference,
            "action": self.body["action"],
            "account": {"plan": "fast"},
        }


@dataclass(frozen=True)
class _Event:
    """What one callback says."""

    id: str
    status: str
    body: bytes


class MidjourneyDouble(ProviderDouble):
    """With a `signing_secret` (`whsec_...`), or one handed over with the order, callbacks are signed as Standard Webhooks are.

    `callbacks` are those that were posted, in the order of their answers.
    """

    key_header = "x-api-key"

    def __init__(self, ledger: Path | None = None, *, can_find: bool = True, signing_secret: str | None = None) -> None:
        super().__init__(ledger)
        self.can_find = can_find
        self.signing_secret = signing_secret
        self.callbacks: list[Called] = []
        self._tasks: dict[str, _Task] = {}
        self._moods: deque[Mood] = deque()
        self._usual = Mood()
        self._lives: set[asyncio.Task[None]] = set()

    def mood(self, mood: Mood, times: int | None = None) -> None:
        """Of the next `times` tasks, after those already scripted, or of all others."""
        if times is None:
            self._usual = mood
        else:
            self._moods.extend([mood] * times)

    def reset(self) -> None:
        super().reset()
        self._moods.clear()
        self._usual = Mood()
        self._tasks.clear()
        self.callbacks.clear()

    async def call_back(self, task: str, *, times: int = 1) -> list[int | None]:
        """What the task is now, posted so often at once, by the caller; the answers' statuses."""
        known = self._tasks[task]
        async with _a_client() as client:
            return await self._post(client, known, _event(known), times=times)

    def body_of(self, task: str) -> bytes:
        """What a callback would say of the task now."""
        return json.dumps(self._tasks[task].shown()).encode()

    def operation_of(self, asked: Asked) -> Operation | None:
        match asked.method, asked.path.removeprefix("/v1").split("/")[1:]:
            case "POST", ["tasks"]:
                return "submit"
            case "GET", ["tasks"]:
                return "find" if self.can_find else None
            case "GET", ["tasks", _]:
                return "look"
            case "POST", ["tasks", _, "cancel"]:
                return "cancel"
        return None

    async def _dispatch(self, operation: Operation, asked: Asked) -> Any:
        if operation == "submit":
            return await self._submit(asked)
        if operation == "find":
            found = [task for task in self._tasks.values() if task.reference == asked.query.get("reference")]
            return {"tasks": [task.shown() for task in found if task.mood.ending is not Ending.FORGOTTEN]}
        task = self._tasks.get(asked.path.split("/")[3])
        if task is None or task.mood.ending is Ending.FORGOTTEN:
            raise Refusal(404, "task_not_found", "There is no such task.")
        if operation == "cancel":
            if task.has_ended:
                raise Refusal(409, "task_ended", "The task has ended.")
            task.status = "cancelled"
            task.stopped.set()
        return task.shown()

    async def _submit(self, asked: Asked) -> Any:
        body = self._checked(asked.body)
        mood = self._moods.popleft() if self._moods else self._usual
        origin = self._tasks.get(body.get("origin_task_id", ""))
        of = (body["action"], body.get("prompt"), origin.of if origin else body.get("image"), body.get("index"))
        # As with Midjourney, the same again gives something else.
        takes = sum(task.of[:-1] == of for task in self._tasks.values())
        task = _Task(self._new_task_id(), body, (*of, takes), mood)
        self._accepted(task.id, task.reference)
        self._tasks[task.id] = task
        answer = task.shown()
        if mood.calls is Calls.BEFORE_THE_ANSWER:
            await self._live(task)
        else:
            life = asyncio.create_task(self._live(task))
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)
        return answer

    async def _live(self, task: _Task) -> None:
        """From accepted to ended, and told as the mood is."""
        mood, events = task.mood, []
        is_told_later = mood.calls is Calls.REORDERED or mood.late_seconds is not None
        async with _a_client() as client:
            for step in self._steps(task):
                if step is not None:
                    await task.pause(0 if mood.calls is Calls.BEFORE_THE_ANSWER else mood.step_seconds)
                    if not task.has_ended:
                        step()
                events.append(_event(task))
                if not is_told_later:
                    await self._tell(client, task, events[-1])
                if events[-1].status in _ENDED:
                    break
            if is_told_later:
                await asyncio.sleep(mood.late_seconds or 0)
                for event in reversed(events) if mood.calls is Calls.REORDERED else events:
                    await self._tell(client, task, event)

    def _steps(self, task: _Task) -> Iterator[Any]:
        """What happens to the task; None is that it was accepted."""
        yield None
        for percent in task.mood.progress:

            def goes_on(percent: int = percent) -> None:
                task.status, task.progress = "processing", percent

            yield goes_on
        if task.mood.ending not in {Ending.NEVER, Ending.FORGOTTEN}:
            yield lambda: self._end(task)

    def _end(self, task: _Task) -> None:
        if task.mood.ending is Ending.FINISHED:
            count = _ACTIONS[task.body["action"]]
            task.images = [self._image(task, position, min(1, count - 1)) for position in range(count)]
            task.status, task.progress = "finished", 100
            return
        code = "content_policy_violation" if task.mood.ending is Ending.AGAINST_POLICY else "internal_error"
        task.status = "failed"
        task.error = {"code": code, "message": f"Nothing came of {task.body.get('prompt')}"}

    def _image(self, task: _Task, position: int, odd: int) -> dict[str, Any]:
        """The picture at `odd` is the one that the mood is about."""
        kind = task.mood.pictures if position == odd else Pictures.GOOD
        width, height = _size(task.body)
        drawn = Picture(
            (*task.of, position),
            width,
            height,
            format_at(position),
            is_bomb=kind is Pictures.ONE_BOMB,
            is_html=kind is Pictures.ONE_HTML,
        )
        match kind:
            case Pictures.ONE_FAILED:
                return {"error": {"code": "render_failed", "message": f"No picture of {task.body.get('prompt')}"}}
            case Pictures.ONE_MISSING:
                return {"url": f"{self.pictures_url or self.origin}/pictures/{task.id}/missing.png"}
            case Pictures.ONE_METADATA:
                return {"url": METADATA_URL}
            case Pictures.ONE_INTERNAL:
                return {"url": f"{self.origin}/internal"}
            case _:
                return {"url": self._shelved(task.id, position, drawn)}

    async def _tell(self, client: httpx.AsyncClient, task: _Task, event: _Event) -> None:
        mood = task.mood
        is_quiet = mood.calls is Calls.NEVER or mood.ending is Ending.FORGOTTEN or task.id not in self._tasks
        if is_quiet or not task.body.get("callback_url"):
            return
        for number in range(mood.tries):
            if number:
                await asyncio.sleep(mood.step_seconds)
            answers = await self._post(client, task, event, times=5 if mood.calls is Calls.FIVEFOLD else 1)
            if any(answer is not None and answer < 300 for answer in answers):
                return

    async def _post(self, client: httpx.AsyncClient, task: _Task, event: _Event, *, times: int) -> list[int | None]:
        url = str(task.body["callback_url"])
        if task.mood.calls is Calls.FORGED:
            url = url[:-_TOKEN_END] + "A" * _TOKEN_END
        headers = {"content-type": "application/json"}
        secret = task.body.get("callback_secret") or self.signing_secret
        if secret is not None:
            is_wrong = task.mood.calls is Calls.MISSIGNED
            headers |= signature_headers(_another(secret) if is_wrong else secret, event.id, event.body)

        async def once() -> int | None:
            try:
                answer = (await client.post(url, content=event.body, headers=headers)).status_code
            except httpx.HTTPError:
                answer = None
            if task.id in self._tasks:
                self.callbacks.append(Called(task.id, event.status, answer))
            return answer

        return list(await asyncio.gather(*(once() for _ in range(times))))

    def _checked(self, body: dict[str, Any] | None) -> dict[str, Any]:
        """What an intermediary would say against the order. Raises Refusal."""
        if body is None:
            raise Refusal(400, "invalid_json", "The body is no JSON object.")
        action = body.get("action")
        if action not in _ACTIONS:
            raise Refusal(400, "invalid_action", "There is no such action.")
        for name in ("prompt", "reference", "model"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise Refusal(400, f"invalid_{name}", f"Send the {name}.")
        if _size(body) == (0, 0):
            raise Refusal(400, "invalid_size", "Send width and height, or aspect_ratio.")
        if action == "variation" and body.get("strength") not in {"subtle", "strong"}:
            raise Refusal(400, "invalid_strength", "A variation is subtle or strong.")
        if action != "imagine":
            self._check_origin(action, body)
        return body

    def _check_origin(self, action: str, body: dict[str, Any]) -> None:
        if "image" in body and action != "reroll":
            if not _is_picture(body["image"]):
                raise Refusal(400, "invalid_image", "The image is no picture in base64.")
            return
        origin = self._tasks.get(str(body.get("origin_task_id")))
        if origin is None or origin.status != "finished":
            raise Refusal(400, "invalid_origin", "There is no such finished task.")
        if body.get("index") not in range(1, len(origin.images) + 1):
            raise Refusal(400, "invalid_index", "The origin has no such picture.")


@contextmanager
def a_midjourney_double(
    ledger: Path | None = None, *, can_find: bool = True, signing_secret: str | None = None, port: int = 0
) -> Iterator[MidjourneyDouble]:
    double = MidjourneyDouble(ledger, can_find=can_find, signing_secret=signing_secret)
    with served(double, port=port):
        yield double


def signature_headers(secret: str, event_id: str, body: bytes, *, at: float | None = None) -> dict[str, str]:
    """Those of Standard Webhooks: HMAC-SHA256 over id, time and body."""
    timestamp = f"{time.time() if at is None else at:.0f}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    tag = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(tag).decode()}",
    }


def _event(task: _Task) -> _Event:
    task.told += 1
    return _Event(f"msg_{task.id}_{task.told}", task.status, json.dumps(task.shown()).encode())


def _a_client() -> httpx.AsyncClient:
    # For http alone: reading certificate authorities for each task would keep the double busy.
    return httpx.AsyncClient(trust_env=False, timeout=5, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _another(secret: str) -> str:
    digest = hashlib.sha256(secret.encode()).digest()
    return f"whsec_{base64.b64encode(digest).decode()}"


def _size(body: dict[str, Any]) -> tuple[int, int]:
    """In pixels; (0, 0) where the order does not say it well. Of a ratio, the longer side has 512."""
    match body:
        case {"width": int(width), "height": int(height)} if width > 0 and height > 0:
            return width, height
        case {"aspect_ratio": str(ratio)}:
            parts = [int(part) if part.isdecimal() else 0 for part in ratio.split(":")]
            if len(parts) == 2 and all(parts):
                return max(1, 512 * parts[0] // max(parts)), max(1, 512 * parts[1] // max(parts))
    return 0, 0


def _is_picture(text: object) -> bool:
    try:
        with Image.open(io.BytesIO(base64.b64decode(str(text), validate=True))) as image:
            image.verify()
    except (ValueError, OSError, SyntaxError):
        return False
    return True
