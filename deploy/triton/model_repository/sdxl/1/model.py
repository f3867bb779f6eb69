"""The sdxl model behind Triton's protocol; how pictures come about lives in diffusion/, which knows nothing of Triton.

One request is an order of one or more images, one for each SEED. Requests that Triton hands over together are put into
as few batches as they allow, and each is answered by a stream of its own:

    STEP, STEPS                                       after each finished step but the last; no IMAGE in these
    STEP, STEPS, IMAGE, FINGERPRINT, MODEL_SECONDS    the last, flagged final, with STEP = STEPS
    an error "CODE: sentence"                         flagged final, instead of all that would have followed
"""

import os
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
from diffusion import (
    BadOption,
    Catalogue,
    Engine,
    Failed,
    Failure,
    Order,
    Outcome,
    Refused,
    classifier_from,
    options_from,
    text_of,
)

# Names and not values: pb_utils.TritonError exists only once the server has started this process.
TRITON_CODES = {
    "INVALID_ARGUMENT": "INVALID_ARG",
    "RESOURCE_EXHAUSTED": "UNAVAILABLE",
    "UNAVAILABLE": "UNAVAILABLE",
    "CANCELLED": "CANCELLED",
    "CONTENT_FILTERED": "UNSUPPORTED",
    "INTERNAL": "INTERNAL",
}


class TritonPythonModel:
    def initialize(self, args: dict) -> None:
        """Ready means ready: what SDXL_PRELOAD names is loaded and has made a picture when this returns."""
        folder = os.environ.get("SDXL_CHECKPOINTS", "")
        if not folder:
            raise pb_utils.TritonModelException("SDXL_CHECKPOINTS is not set: it names the folder of checkpoints.")
        on_gpu = args["model_instance_kind"] == "GPU"
        try:
            options = options_from(os.environ, device=f"cuda:{args['model_instance_device_id']}" if on_gpu else "auto")
            classifier = classifier_from(os.environ.get("SDXL_CLASSIFIER", ""))
            self._engine = Engine(Catalogue(Path(folder)), options, classifier)
            for name in os.environ.get("SDXL_PRELOAD", "").replace(",", " ").split():
                self._engine.warm_up(name)
                pb_utils.Logger.log_info(f"sdxl: the checkpoint {name} is ready on {options.torch_device}")
        except (BadOption, Failed) as error:
            raise pb_utils.TritonModelException(str(error)) from error

    def execute(self, requests: list) -> None:
        senders, orders = [], []
        for request in requests:
            sender = request.get_response_sender()
            try:
                order = _read(request)
            except Failed as failure:
                _fail(sender, Failure(failure.code, str(failure)))
                continue
            senders.append((request, sender))
            orders.append(order)
        self._engine.render(
            orders,
            on_step=lambda index, step, steps: _send_step(senders[index][1], step, steps),
            is_cancelled=lambda index: senders[index][0].is_cancelled(),
            on_outcome=lambda index, outcome: _send_outcome(senders[index][1], outcome),
        )

    def finalize(self) -> None:
        self._engine.free_memory()


def _read(request: "pb_utils.InferenceRequest") -> Order:
    source = _optional(request, "SOURCE")
    strength = _optional(request, "STRENGTH")
    if (source is None) != (strength is None):
        raise Refused("SOURCE and STRENGTH go together: send both, or neither.")
    return Order(
        checkpoint=text_of("CHECKPOINT", _only(request, "CHECKPOINT")),
        prompt=text_of("PROMPT", _only(request, "PROMPT")),
        negative_prompt=text_of("NEGATIVE_PROMPT", _only(request, "NEGATIVE_PROMPT")),
        seeds=tuple(int(seed) for seed in _given(request, "SEED")[0]),
        width=int(_only(request, "WIDTH")),
        height=int(_only(request, "HEIGHT")),
        steps=int(_only(request, "STEPS")),
        guidance=float(_only(request, "GUIDANCE")),
        scheduler=text_of("SCHEDULER", _only(request, "SCHEDULER")),
        source=None if source is None else source[0],
        strength=1.0 if strength is None else float(strength[0, 0]),
    )


def _given(request: "pb_utils.InferenceRequest", name: str) -> np.ndarray:
    """One request's tensor; the first number of its shape is Triton's batch dimension, which is 1 in a request."""
    values = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    if values.shape[0] != 1:
        raise Refused(f"{name} has the shape {list(values.shape)}; a request is one order: [1, ...].")
    return values


def _only(request: "pb_utils.InferenceRequest", name: str):  # noqa: ANN202 bytes or a number, by the model's configuration
    return _given(request, name)[0, 0]


def _optional(request: "pb_utils.InferenceRequest", name: str) -> "np.ndarray | None":
    return None if pb_utils.get_input_tensor_by_name(request, name) is None else _given(request, name)


def _tensor(name: str, value: object, kind: object) -> "pb_utils.Tensor":
    return pb_utils.Tensor(name, np.array([[value]], dtype=kind))


def _progress(step: int, steps: int) -> list:
    return [_tensor("STEP", step, np.int32), _tensor("STEPS", steps, np.int32)]


def _send_step(sender: object, step: int, steps: int) -> None:
    # The last step is told together with the picture.
    if step < steps:
        sender.send(pb_utils.InferenceResponse(_progress(step, steps)))


def _send_outcome(sender: object, outcome: Outcome) -> None:
    if isinstance(outcome, Failure):
        _fail(sender, outcome)
        return
    outputs = [
        *_progress(outcome.steps, outcome.steps),
        pb_utils.Tensor("IMAGE", outcome.images[np.newaxis]),
        _tensor("FINGERPRINT", outcome.fingerprint.encode(), np.object_),
        _tensor("MODEL_SECONDS", outcome.model_seconds, np.float32),
    ]
    sender.send(pb_utils.InferenceResponse(outputs), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _fail(sender: object, failure: Failure) -> None:
    # A gRPC stream carries an error's text and not its code, so the text begins with the code.
    error = pb_utils.TritonError(
        f"{failure.code}: {failure.sentence}", getattr(pb_utils.TritonError, TRITON_CODES[failure.code])
    )
    sender.send(pb_utils.InferenceResponse(error=error), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
