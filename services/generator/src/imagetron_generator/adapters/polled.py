"""A provider that is asked until it has finished: one picture a task, JSON over HTTPS.

POST {base}/generate              {"prompt", "width", "height", "seed", "model", "reference", "image"?, "strength"?}
                                  -> {"id", "status"}
GET  {base}/generate/{id}         -> {"id", "status": "PENDING" | "PROCESSING" | "COMPLETED" | "FAILED",
                                      "image_base64" or "image_url", "error_code"?, "error_message"?}
"""

import asyncio
from base64 import b64encode
from binascii import a2b_base64
from enum import StrEnum
from typing import Any, Final, Never

from pydantic import Field, SecretStr

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.provider_http import (
    PICTURE_BYTES,
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

NAME: Final = "polled"
RULES: Final = TaskRules(verbs=frozenset({Verb.IMAGINE, Verb.REROLL, Verb.VARY}))

# Older servers have a sentence and no code. Whole phrases: a prompt that it quotes may well speak of safety.
_WITHHELD: Final = ("content policy", "content_policy", "safety system", "content moderation")


class _Status(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


_PHASES: Final = {
    _Status.PENDING: TaskPhase.WAITING,
    _Status.PROCESSING: TaskPhase.PROCESSING,
    _Status.COMPLETED: TaskPhase.SUCCEEDED,
    _Status.FAILED: TaskPhase.FAILED,
}


class _Task(Form):
    id: TaskId
    status: _Status
    image_base64: str | None = Field(default=None, repr=False)
    image_url: str | None = Field(default=None, min_length=1, max_length=4096, repr=False)
    error_code: str | int | None = None
    error_message: str | None = Field(default=None, repr=False)


class PolledProvider:
    """It takes seeds, and a picture to vary; it cannot be asked for tasks by reference, and stops none.

    The reference goes along for those who look into its logs.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        rules: TaskRules = RULES,
        key_header: str = "Authorization",
        seconds: float = 35.0,
    ) -> None:
        self._rules = rules
        self._http = ProviderHttp(
            NAME, base_url, api_key, key_header=key_header, seconds=seconds, most_bytes=PICTURE_BYTES
        )

    @property
    def name(self) -> str:
        return NAME

    @property
    def rules(self) -> TaskRules:
        return self._rules

    async def submit(self, order: TaskOrder) -> TaskNews:
        answer = await self._http.post("/generate", self._asked(order))
        if not answer.is_good:
            raise refusal(NAME, answer, of_a_submission=True)
        return _news(read(NAME, _Task, answer), answer)

    async def look(self, provider_task_id: str) -> TaskNews:
        if not is_task_id(provider_task_id):
            return lost(NAME, provider_task_id)
        answer = await self._http.get(f"/generate/{provider_task_id}")
        if answer.is_unknown:
            return lost(NAME, provider_task_id)
        if not answer.is_good:
            raise refusal(NAME, answer)
        # A picture is worth a pause that the loop would feel.
        task = await asyncio.to_thread(read, NAME, _Task, answer)
        if task.id != provider_task_id:
            raise ModelFailed(f"the provider {NAME} was asked for one task and told of another")
        return await asyncio.to_thread(_news, task, answer)

    async def find(self, reference: str) -> Never:  # noqa: ARG002
        """Raises ModelFailed: None would say that the task was not handed in."""
        raise ModelFailed(f"the provider {NAME} cannot be asked for tasks by reference")

    async def cancel(self, provider_task_id: str) -> None:
        """Nothing: it has no such call, and the task is paid for."""

    def read_callback(self, body: bytes) -> Never:  # noqa: ARG002
        raise CallbackUnreadable(f"the provider {NAME} calls nobody back")

    async def close(self) -> None:
        await self._http.close()

    def _asked(self, order: TaskOrder) -> dict[str, Any]:
        """The order in the provider's words. Raises ModelRefused for what it has no words for."""
        if order.verb not in self._rules.verbs or order.verb is Verb.UPSCALE:
            raise ModelRefused(f"the provider {NAME} cannot {order.verb}")
        if order.images > 1:
            raise ModelRefused(f"the provider {NAME} makes one picture in a task, not {order.images}")
        if order.negative_prompt:
            raise ModelRefused(f"the provider {NAME} takes no negative prompt: leave it out")
        asked = {
            "prompt": order.prompt,
            "width": order.size.width,
            "height": order.size.height,
            "seed": order.seed,
            "model": order.model,
            "reference": order.reference,
        }
        if order.verb is Verb.VARY:
            if order.source is None:
                raise ModelRefused(f"the provider {NAME} cannot {order.verb} without a picture to begin with")
            asked["image"] = b64encode(order.source).decode()
            asked["strength"] = order.strength
        return asked


def _news(task: _Task, answer: Answer) -> TaskNews:
    phase, code, message = _PHASES[task.status], None, None
    deliveries: tuple[Delivery, ...] = ()
    if task.status is _Status.COMPLETED:
        delivery = _delivery(task)
        if delivery is None:
            phase, code = TaskPhase.FAILED, FailureCode.MODEL_UNAVAILABLE
            message = f"the provider {NAME} completed the task without a picture"
        else:
            deliveries = (delivery,)
    elif task.status is _Status.FAILED:
        code = _why(task)
        how = " by its content policy" if code is FailureCode.CONTENT_FILTERED else ""
        message = f"the provider {NAME} did not make the picture{how}"
    return TaskNews(
        phase,
        task.id,
        deliveries=deliveries,
        code=code,
        message=message,
        answer_digest=answer.digest,
        look_again_seconds=answer.wait_seconds,
    )


def _delivery(task: _Task) -> Delivery | None:
    if not task.image_base64:
        return Delivery(0, url=task.image_url) if task.image_url else None
    try:
        return Delivery(0, data=a2b_base64(task.image_base64, strict_mode=True))
    except ValueError:
        said = f"the provider {NAME} delivered a picture that is no base64"
        return Delivery(0, code=FailureCode.RENDER_UNREADABLE, message=said)


def _why(task: _Task) -> FailureCode:
    code = meaning(task.error_code)
    said = (task.error_message or "").lower()
    if code is FailureCode.MODEL_UNAVAILABLE and any(phrase in said for phrase in _WITHHELD):
        return FailureCode.CONTENT_FILTERED
    return code
