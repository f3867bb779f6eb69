"""A double of an image API that is polled (the wire format of adapters/polled.py).

`with a_polled_double() as double: ... double.base_url, double.api_key`. A task takes `looks` looks, however far apart, to its
end. A course says how the next tasks go.
"""

import base64
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from support.provider_double import (
    METADATA_URL,
    Asked,
    Operation,
    Picture,
    Pictures,
    ProviderDouble,
    Refusal,
    served,
)


class End(Enum):
    """How a task ends."""

    COMPLETED = auto()
    FAILED = auto()
    AGAINST_POLICY = auto()
    """Told by a code."""
    AGAINST_POLICY_IN_WORDS = auto()
    """Told by a sentence alone."""
    NEVER = auto()
    FORGOTTEN = auto()
    EMPTY = auto()
    """Completed, with nothing."""


class Hands(Enum):
    """How the picture is handed over."""

    BASE64 = auto()
    URL = auto()
    BAD_BASE64 = auto()


@dataclass(frozen=True)
class Course:
    looks: int = 2
    """PENDING, then PROCESSING, and its end at this look."""
    end: End = End.COMPLETED
    hands: Hands = Hands.BASE64
    pictures: Pictures = Pictures.GOOD
    """Its one picture is the one that this is about."""


@dataclass
class _Task:
    id: str
    body: dict[str, Any]
    course: Course
    take: int
    looks: int = 0


class PolledDouble(ProviderDouble):
    key_header = "authorization"
    key_prefix = "Bearer "
    endless_bytes = 48 << 20

    def __init__(self, ledger: Path | None = None) -> None:
        super().__init__(ledger)
        self.look_again_after: float | None = None
        """Retry-After of the answers to looks."""
        self._tasks: dict[str, _Task] = {}
        self._courses: deque[Course] = deque()
        self._usual = Course()

    def course(self, course: Course, times: int | None = None) -> None:
        """Of the next `times` tasks, after those already scripted, or of all others."""
        if times is None:
            self._usual = course
        else:
            self._courses.extend([course] * times)

    def reset(self) -> None:
        super().reset()
        self._courses.clear()
        self._usual = Course()
        self._tasks.clear()
        self.look_again_after = None

    def operation_of(self, asked: Asked) -> Operation | None:
        match asked.method, asked.path.removeprefix("/v1").split("/")[1:]:
            case "POST", ["generate"]:
                return "submit"
            case "GET", ["generate", _]:
                return "look"
        return None

    def good_headers(self, body: Any) -> dict[str, str]:
        return {} if self.look_again_after is None else {"retry-after": f"{self.look_again_after:g}"}

    async def _dispatch(self, operation: Operation, asked: Asked) -> Any:
        if operation == "submit":
            return self._submit(asked.body)
        task = self._tasks.get(asked.path.rpartition("/")[2])
        if task is None or task.course.end is End.FORGOTTEN:
            raise Refusal(404, "not_found", "There is no such task.")
        task.looks += 1
        return self._shown(task)

    def _submit(self, body: dict[str, Any] | None) -> Any:
        checked = _checked(body)
        course = self._courses.popleft() if self._courses else self._usual
        take = sum(task.body == checked for task in self._tasks.values())
        task = _Task(self._new_task_id(), checked, course, take)
        self._accepted(task.id, checked["reference"])
        self._tasks[task.id] = task
        return {"id": task.id, "status": "PENDING"}

    def _shown(self, task: _Task) -> dict[str, Any]:
        head = {"id": task.id, "cost": 0.0125}
        if task.looks < task.course.looks or task.course.end is End.NEVER:
            return {**head, "status": "PENDING" if task.looks < 2 < task.course.looks else "PROCESSING"}
        match task.course.end:
            case End.COMPLETED:
                return {**head, "status": "COMPLETED", **self._picture(task)}
            case End.EMPTY:
                return {**head, "status": "COMPLETED"}
            case End.AGAINST_POLICY:
                return {**head, "status": "FAILED", "error_code": "CONTENT_POLICY", "error_message": _quoting(task)}
            case End.AGAINST_POLICY_IN_WORDS:
                words = f"Blocked by our content policy. {_quoting(task)}"
                return {**head, "status": "FAILED", "error_message": words}
            case _:
                return {**head, "status": "FAILED", "error_message": _quoting(task)}

    def _picture(self, task: _Task) -> dict[str, str]:
        kind, body = task.course.pictures, task.body
        drawn = Picture(
            (body["prompt"], body.get("seed"), body.get("image"), task.take if body.get("seed") is None else 0),
            body["width"],
            body["height"],
            is_bomb=kind is Pictures.ONE_BOMB,
            is_html=kind is Pictures.ONE_HTML,
        )
        match task.course.hands, kind:
            case _, Pictures.ONE_MISSING:
                return {"image_url": f"{self.pictures_url or self.origin}/pictures/{task.id}/missing.png"}
            case _, Pictures.ONE_METADATA:
                return {"image_url": METADATA_URL}
            case _, Pictures.ONE_INTERNAL:
                return {"image_url": f"{self.origin}/internal"}
            case Hands.BAD_BASE64, _:
                return {"image_base64": "not base64 at all, xx"}
            case Hands.URL, _:
                return {"image_url": self._shelved(task.id, 0, drawn)}
            case _:
                return {"image_base64": base64.b64encode(drawn.data()).decode()}


@contextmanager
def a_polled_double(ledger: Path | None = None, *, port: int = 0) -> Iterator[PolledDouble]:
    double = PolledDouble(ledger)
    with served(double, port=port):
        yield double


def _quoting(task: _Task) -> str:
    return f"Nothing came of {task.body['prompt']}"


def _checked(body: dict[str, Any] | None) -> dict[str, Any]:
    """What the API would say against the order. Raises Refusal."""
    match body:
        case {"prompt": str(prompt), "width": int(), "height": int(), "reference": str()} if body and prompt:
            return body
    raise Refusal(400, "invalid_request", "Send prompt, width, height and reference.")
