"""A provider with Midjourney's commands that calls back: an intermediary's REST API, JSON over HTTPS.

    POST {base}/tasks                 {"action": "imagine" | "reroll" | "variation" | "upscale", "reference", "model",
                                       "prompt", "width" and "height" or "aspect_ratio", "negative_prompt"?, "image"?,
                                       "origin_task_id" and "index"?, "strength"?, "callback_url"?, "callback_secret"?}
    GET  {base}/tasks/{id}            a task
    GET  {base}/tasks?reference=      {"tasks": [a task, ...]}
    POST {base}/tasks/{id}/cancel

A task: {"task_id", "status": "pending" | "processing" | "finished" | "failed" | "cancelled", "progress": 0 to 100,
"images": [{"url"} | {"error": {"code"}}], "error": {"code"}, "reference"}. A callback's body is one, too.
"""

import math
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from pydantic import Field, SecretStr, ValidationError

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.provider_http import (
    TASK_BYTES,
    Answer,
    Form,
    ProviderHttp,
    TaskId,
    is_task_id,
    lost,
    meaning,
    read,
    refusal,
)
from imagetron_generator.domain.orders import Delivery, TaskNews, TaskOrder, TaskPhase, TaskRules
from imagetron_generator.ports import CallbackUnreadable, ModelFailed, ModelRefused

NAME: Final = "callback"
RULES: Final = TaskRules(
    images_per_task=4,
    verbs=frozenset(Verb),
    calls_back=True,
    # Its callbacks are the usual way, and looks the net below.
    first_look_seconds=15.0,
    longest_pause_seconds=120.0,
)

_MOST_IMAGES: Final = 16
_ACTIONS: Final = {
    Verb.IMAGINE: "imagine",
    Verb.REROLL: "reroll",
    Verb.VARY: "variation",
    Verb.UPSCALE: "upscale",
}
_EVEN_STRENGTH: Final = 0.5
_DONE_ALREADY: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}


class _Status(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


_PHASES: Final = {
    _Status.PENDING: TaskPhase.WAITING,
    _Status.PROCESSING: TaskPhase.PROCESSING,
    _Status.FINISHED: TaskPhase.SUCCEEDED,
    _Status.FAILED: TaskPhase.FAILED,
    _Status.CANCELLED: TaskPhase.CANCELLED,
}


class _Trouble(Form):
    """Its message is not read: it may quote the prompt."""

    code: str | int | None = None


class _Image(Form):
    url: str | None = Field(default=None, min_length=1, max_length=4096, repr=False)
    error: _Trouble | str | None = Field(default=None, repr=False)


class _Task(Form):
    task_id: TaskId
    status: _Status
    progress: float | None = None
    images: tuple[_Image, ...] | None = Field(default=None, max_length=_MOST_IMAGES)
    error: _Trouble | None = Field(default=None, repr=False)
    reference: str | None = None


class _Tasks(Form):
    tasks: tuple[_Task, ...]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one intermediary's API differs from another's."""

    takes_negative_prompts: bool = False
    """In a field of their own. Without it an order with one is refused: a prompt's text is never added to."""
    takes_aspect_ratios: bool = False
    """`aspect_ratio` in lowest terms, such as 16:9, in place of `width` and `height`."""


class CalledBackProvider:
    """Rerolls, variations and upscalings of its own tasks go by the task's id and the picture's number, counted from 1; those
    of other pictures by the picture itself. A reroll of a task that is not its own is a new imagining.

    Midjourney knows two strengths of a variation: ours below 0.5 is the subtle one. It takes no seed.
    `rules.can_find` says whether this intermediary can be asked for tasks by our reference.
    `callback_secret` is handed over with each order, for the signatures of its callbacks.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        rules: TaskRules = RULES,
        dialect: Dialect = Dialect(),
        callback_secret: SecretStr | None = None,
        key_header: str = "X-API-Key",
        seconds: float = 30.0,
    ) -> None:
        self._rules = rules
        self._dialect = dialect
        self._callback_secret = callback_secret
        self._http = ProviderHttp(
            NAME, base_url, api_key, key_header=key_header, seconds=seconds, most_bytes=TASK_BYTES
        )

    @property
    def name(self) -> str:
        return NAME

    @property
    def rules(self) -> TaskRules:
        return self._rules

    async def submit(self, order: TaskOrder) -> TaskNews:
        answer = await self._http.post("/tasks", self._asked(order))
        if not answer.is_good:
            raise refusal(NAME, answer, of_a_submission=True)
        return _news(read(NAME, _Task, answer), answer)

    async def look(self, provider_task_id: str) -> TaskNews:
        if not is_task_id(provider_task_id):
            return lost(NAME, provider_task_id)
        answer = await self._http.get(f"/tasks/{provider_task_id}")
        if answer.is_unknown:
            return lost(NAME, provider_task_id)
        if not answer.is_good:
            raise refusal(NAME, answer)
        task = read(NAME, _Task, answer)
        if task.task_id != provider_task_id:
            raise ModelFailed(f"the provider {NAME} was asked for one task and told of another")
        return _news(task, answer)

    async def find(self, reference: str) -> TaskNews | None:
        """The oldest under the reference that has not failed, or else the oldest."""
        answer = await self._http.get("/tasks", reference=reference)
        if not answer.is_good:
            raise refusal(NAME, answer)
        tasks = read(NAME, _Tasks, answer).tasks
        # An intermediary that does not know the query would list everybody's.
        if any(task.reference is None for task in tasks):
            raise ModelFailed(f"the provider {NAME} lists tasks without their references: it cannot find them by one")
        ours = [task for task in tasks if task.reference == reference]
        alive = [task for task in ours if task.status not in {_Status.FAILED, _Status.CANCELLED}]
        return _news((alive or ours)[0], answer) if ours else None

    async def cancel(self, provider_task_id: str) -> None:
        if not is_task_id(provider_task_id):
            return
        answer = await self._http.post(f"/tasks/{provider_task_id}/cancel", {})
        if not (answer.is_good or answer.is_unknown or answer.status in _DONE_ALREADY):
            raise refusal(NAME, answer)

    def read_callback(self, body: bytes) -> TaskNews:
        answer = Answer(HTTPStatus.OK, {}, body)
        try:
            return _news(_Task.model_validate_json(body), answer)
        except ValidationError:
            pass
        raise CallbackUnreadable(f"the callback is not what the provider {NAME} sends")

    async def close(self) -> None:
        await self._http.close()

    def _asked(self, order: TaskOrder) -> dict[str, Any]:
        """The order in the provider's words. Raises ModelRefused for what it has no words for."""
        most = 1 if order.verb is Verb.UPSCALE else self._rules.images_per_task
        if order.verb not in self._rules.verbs:
            raise ModelRefused(f"the provider {NAME} cannot {order.verb}")
        if order.images > most:
            raise ModelRefused(
                f"the provider {NAME} makes {most} pictures in one task to {order.verb}, not {order.images}"
            )
        if order.negative_prompt and not self._dialect.takes_negative_prompts:
            raise ModelRefused(f"the provider {NAME} takes no negative prompt: leave it out")
        asked = {
            "action": _ACTIONS[order.verb],
            "reference": order.reference,
            "model": order.model,
            "prompt": order.prompt,
            **self._size(order.size),
            **_origin(order),
        }
        if order.negative_prompt:
            asked["negative_prompt"] = order.negative_prompt
        if order.verb is Verb.VARY:
            asked["strength"] = "subtle" if order.strength < _EVEN_STRENGTH else "strong"
        if order.callback_url is not None:
            asked["callback_url"] = order.callback_url
            if self._callback_secret is not None:
                asked["callback_secret"] = self._callback_secret.get_secret_value()
        return asked

    def _size(self, size: Dimensions) -> dict[str, Any]:
        if not self._dialect.takes_aspect_ratios:
            return {"width": size.width, "height": size.height}
        common = math.gcd(size.width, size.height)
        return {"aspect_ratio": f"{size.width // common}:{size.height // common}"}


def _origin(order: TaskOrder) -> dict[str, Any]:
    """What the order goes on from, if anything."""
    if order.verb is Verb.IMAGINE:
        return {}
    if order.parent is not None:
        return {"origin_task_id": order.parent.provider_task_id, "index": order.parent.index + 1}
    if order.verb is Verb.REROLL:
        return {"action": _ACTIONS[Verb.IMAGINE]}
    if order.source is None:
        raise ModelRefused(f"the provider {NAME} cannot {order.verb} without a picture to begin with")
    return {"image": b64encode(order.source).decode()}


def _news(task: _Task, answer: Answer) -> TaskNews:
    phase, code, message = _PHASES[task.status], None, None
    deliveries: tuple[Delivery, ...] = ()
    if task.status is _Status.FINISHED:
        deliveries = tuple(_delivery(place, image) for place, image in enumerate(task.images or ()))
        if not deliveries:
            phase, code = TaskPhase.FAILED, FailureCode.MODEL_UNAVAILABLE
            message = f"the provider {NAME} finished the task without a picture"
    elif task.status is _Status.FAILED:
        code = meaning(task.error.code if task.error else None)
        message = _sentence("the task", code)
    elif task.status is _Status.CANCELLED:
        code, message = FailureCode.CANCELLED, f"the provider {NAME} says that the task was cancelled"
    return TaskNews(
        phase, task.task_id, _share(task.progress), deliveries, code, message, answer.digest, answer.wait_seconds
    )


def _delivery(position: int, image: _Image) -> Delivery:
    if image.error is None and image.url is not None:
        return Delivery(position, url=image.url)
    code = meaning(image.error.code if isinstance(image.error, _Trouble) else image.error)
    return Delivery(position, code=code, message=_sentence(f"picture {position + 1} of the task", code))


def _sentence(what: str, code: FailureCode) -> str:
    why = {
        FailureCode.CONTENT_FILTERED: " by its content policy",
        FailureCode.QUOTA_EXCEEDED: ": our account is spent",
        FailureCode.MODEL_REFUSED: ": it does not take the order",
    }
    return f"the provider {NAME} did not make {what}{why.get(code, '')}"


def _share(progress: float | None) -> float | None:
    """0 to 1 of 0 to 100; what is no such number says nothing."""
    if progress is None or not math.isfinite(progress):
        return None
    return min(max(progress / 100, 0.0), 1.0)
