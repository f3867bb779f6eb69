"""The image model on a Triton server, over gRPC: cancellation and deadlines reach the model there, over HTTP they do not."""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import numpy as np
from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture, upscaling_factor
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelOutOfMemory,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    OnStep,
    QueueFull,
)

_CHANNEL_OPTIONS: Final = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own back-off grows to two minutes, far longer than a restart of Triton.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_RGB: Final = 3
_QUEUE_FULL_SECONDS: Final = 5.0
_SPOKEN_CODES: Final = {
    code.name: code
    for code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
    )
}
# Not one of gRPC's.
_FILTERED: Final = "CONTENT_FILTERED"
_AWAY_CODES: Final = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED}
# Triton 2.51 says these without a status, or with INTERNAL: a model that is not loaded, and one whose process died.
_NOT_LOADED: Final = "is not found"
_AWAY: Final = (_NOT_LOADED, "no available versions", "not ready", "is not healthy")
_NO_MEMORY: Final = ("out of memory", "outofmemory", "not enough memory")


class ModelNotLoaded(ModelUnavailable):
    """The server is there and well, and has no such model."""


class TritonImageModel:
    """One channel for the process; it connects at the first call and reconnects by itself.

    A model's name is that of Triton's, or `<Triton's>/<checkpoint>` for one that serves several: `sdxl/photorealistic`.
    Names without a checkpoint get the inputs that every model has. A source and its strength are sent only where there is one.
    An upscaling goes to a model that takes a picture and a factor.

    Triton's own error texts may quote the prompt. They stay in Triton's log; ours name the model and the status.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: InferenceServerClient | None = None

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        # Never with the header `triton_grpc_error`: server 2.51 crashes after a few errors (deploy/triton/README.md).
        asked = _enlarging(request) if request.verb is Verb.UPSCALE else _asked(request)
        responses = self._opened().stream_infer(_one(asked), stream_timeout=deadline_seconds)
        rendered: Rendered | None = None
        failure: ChassisError | None = None
        try:
            # To the very end: leaving a stream that is about to end can keep Triton from stopping cleanly.
            async for result, error in responses:
                if error is not None:
                    failure = failure or _understood(error.message() or "", request, deadline_seconds)
                else:
                    rendered = _read(result, on_step, request) or rendered
        except grpc.aio.AioRpcError as error:
            raise failure or _translated(error.code(), error.details() or "", request, deadline_seconds) from None
        finally:
            responses.cancel()
        if failure is not None:
            raise failure
        if rendered is None:
            raise ModelFailed(f"the model {request.model} ended its answer without a picture")
        if request.verb is Verb.UPSCALE:
            if rendered.size != request.size:
                raise ModelFailed(f"the model {request.model} was asked for {request.size} and gave {rendered.size}")
            on_step(1, 1)
        return rendered

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _opened(self) -> InferenceServerClient:
        if self._client is None:
            self._client = InferenceServerClient(self._url, channel_args=_CHANNEL_OPTIONS)
        return self._client


async def _one(asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The only request of a stream, made before it: gRPC turns an error in here into a cancellation that nobody asked for."""
    yield asked


def _asked(request: RenderRequest) -> dict[str, Any]:
    """All inputs of a kind of model are always sent: Triton does not batch requests that differ in them."""
    model, _, checkpoint = request.model.partition("/")
    inputs = [
        _text("PROMPT", request.prompt),
        _text("NEGATIVE_PROMPT", request.negative_prompt),
        _number("SEED", "INT64", np.int64, request.seed),
        _number("WIDTH", "INT32", np.int32, request.size.width),
        _number("HEIGHT", "INT32", np.int32, request.size.height),
        _number("STEPS", "INT32", np.int32, request.steps),
        _number("GUIDANCE", "FP32", np.float32, request.guidance_scale),
    ]
    if checkpoint:
        # An empty scheduler: the checkpoint's own.
        inputs += [_text("CHECKPOINT", checkpoint), _text("SCHEDULER", "")]
    if request.source is not None:
        inputs += [_picture("SOURCE", request.source), _number("STRENGTH", "FP32", np.float32, request.strength)]
    return {"model_name": model, "inputs": inputs}


def _enlarging(request: RenderRequest) -> dict[str, Any]:
    source = request.source
    factor = upscaling_factor(source.size, request.size) if source else None
    if source is None or factor is None:
        raise ModelRefused(f"the model {request.model} cannot enlarge the picture to {request.size}")
    inputs = [_picture("IMAGE", source), _number("SCALE", "INT32", np.int32, factor)]
    return {"model_name": request.model, "inputs": inputs}


def _picture(name: str, picture: SourcePicture) -> InferInput:
    shape = [1, picture.size.height, picture.size.width, _RGB]
    tensor = InferInput(name, shape, "UINT8")
    tensor.set_data_from_numpy(np.frombuffer(picture.pixels, np.uint8).reshape(shape))
    return tensor


def _text(name: str, value: str) -> InferInput:
    tensor = InferInput(name, [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[value.encode()]], dtype=np.object_))
    return tensor


def _number(name: str, datatype: str, kind: type[np.generic], value: float) -> InferInput:
    tensor = InferInput(name, [1, 1], datatype)
    tensor.set_data_from_numpy(np.array([[value]], dtype=kind))
    return tensor


def _read(result: InferResult, on_step: OnStep, request: RenderRequest) -> Rendered | None:
    """Progress goes to `on_step`; the response with the picture is the picture."""
    step, steps = result.as_numpy("STEP"), result.as_numpy("STEPS")
    if step is not None and step.size and steps is not None and steps.size:
        on_step(int(step.flat[0]), int(steps.flat[0]))
    image = result.as_numpy("IMAGE")
    if image is None or not image.size:
        return None
    height, width, channels = image.shape[-3:] if image.ndim >= _RGB else (0, 0, 0)
    if channels != _RGB or image.size != height * width * _RGB or image.dtype != np.uint8:
        raise ModelFailed(
            f"the model {request.model} answered with {image.dtype} of shape {image.shape}, no RGB picture"
        )
    fingerprint = result.as_numpy("FINGERPRINT")
    made_by = bytes(fingerprint.flat[0]).decode() if fingerprint is not None and fingerprint.size else request.model
    seconds = result.as_numpy("MODEL_SECONDS")
    gpu_seconds = float(seconds.flat[0]) if seconds is not None and seconds.size else None
    return Rendered(image.tobytes(), Dimensions(width=width, height=height), made_by, gpu_seconds=gpu_seconds)


def _understood(text: str, request: RenderRequest, deadline_seconds: float) -> ChassisError:
    """An error inside a stream has no status: our models begin theirs with the word for it, Triton's own have none."""
    word, colon, rest = text.partition(":")
    if colon and word.strip() == _FILTERED:
        return ContentFiltered(f"the model {request.model} withholds the picture: its content is not allowed")
    code = _SPOKEN_CODES.get(word.strip()) if colon else None
    return _translated(code or grpc.StatusCode.UNKNOWN, rest if code else text, request, deadline_seconds)


def _translated(code: grpc.StatusCode, text: str, request: RenderRequest, deadline_seconds: float) -> ChassisError:
    """What a status means to us. The text is read for what no status code can say, and goes no further."""
    said, model, status = text.lower(), request.model, code.name
    if "maximum queue size" in said or "request timeout expired" in said:
        return QueueFull(f"the model {model} has a full queue ({status})", retry_after_seconds=_QUEUE_FULL_SECONDS)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED or any(words in said for words in _NO_MEMORY):
        return ModelOutOfMemory(f"the model {model} is out of memory for {request.size} in {request.steps} steps")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ModelTimedOut(f"the model {model} did not answer within {deadline_seconds:.1f} s")
    if _NOT_LOADED in said:
        return ModelNotLoaded(f"the model {model} is not found on its server ({status})")
    if code in _AWAY_CODES or any(words in said for words in _AWAY):
        return ModelUnavailable(f"the model {model} cannot be called now ({status})")
    if code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE}:
        return ModelRefused(f"the model {model} refuses {request.size} in {request.steps} steps ({status})")
    return ModelFailed(f"the model {model} failed ({status})")
