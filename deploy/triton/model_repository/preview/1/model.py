"""The preview model behind Triton's protocol; how pictures come about lives in painting/, which knows nothing of Triton.

One request is one picture (batch dimension 1 in a request's own tensors; Triton batches requests). It is answered by a
stream of responses:

    STEP, STEPS                        after each finished step, 1 to STEPS; no IMAGE in these
    STEP, STEPS, IMAGE, FINGERPRINT    the last, flagged final, with STEP = STEPS
    an error "CODE: sentence"          flagged final, instead of all that would have followed

Each request of a batch is answered by itself: one that is refused or cancelled never disturbs its mates.
"""

import platform

import numpy as np
import triton_python_backend_utils as pb_utils
from painting import VERSION, Order, Painting, Refused, text_of

FINGERPRINT = f"preview-{VERSION} numpy-{np.__version__} {platform.machine()}"

# Names and not values: pb_utils.TritonError exists only once the server has started this process.
TRITON_CODES = {"INVALID_ARGUMENT": "INVALID_ARG", "RESOURCE_EXHAUSTED": "UNAVAILABLE", "CANCELLED": "CANCELLED"}


def _tensor(name: str, value: object, kind: object) -> "pb_utils.Tensor":
    return pb_utils.Tensor(name, np.array([[value]], dtype=kind))


def _only(request: "pb_utils.InferenceRequest", name: str):  # noqa: ANN202 bytes or a number, by the model's configuration
    values = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    if values.shape != (1, 1):
        raise Refused(f"{name} has the shape {list(values.shape)}; a request asks for one picture: [1, 1].")
    return values[0, 0]


def _source(request: "pb_utils.InferenceRequest") -> dict:
    """SOURCE and STRENGTH, where the request has them."""
    source, strength = (pb_utils.get_input_tensor_by_name(request, name) for name in ("SOURCE", "STRENGTH"))
    if (source is None) != (strength is None):
        raise Refused("SOURCE and STRENGTH go together: send both, or neither.")
    return {} if source is None else {"source": source.as_numpy()[0], "strength": float(_only(request, "STRENGTH"))}


def _read(request: "pb_utils.InferenceRequest") -> Order:
    return Order(
        prompt=text_of("PROMPT", _only(request, "PROMPT")),
        negative_prompt=text_of("NEGATIVE_PROMPT", _only(request, "NEGATIVE_PROMPT")),
        seed=int(_only(request, "SEED")),
        width=int(_only(request, "WIDTH")),
        height=int(_only(request, "HEIGHT")),
        steps=int(_only(request, "STEPS")),
        guidance=float(_only(request, "GUIDANCE")),
        **_source(request),
    )


class TritonPythonModel:
    def execute(self, requests: list) -> None:
        for request in requests:
            self._answer(request)

    def _answer(self, request: "pb_utils.InferenceRequest") -> None:
        sender = request.get_response_sender()
        try:
            painting = Painting(_read(request))
            for step in painting.steps():
                if request.is_cancelled():
                    self._fail(sender, "CANCELLED", "The request was cancelled.")
                    return
                if step < painting.total:
                    sender.send(pb_utils.InferenceResponse(self._progress(step, painting.total)))
        except Refused as refusal:
            self._fail(sender, "INVALID_ARGUMENT", str(refusal))
            return
        except MemoryError:
            self._fail(sender, "RESOURCE_EXHAUSTED", "There is not enough memory for a picture of this size.")
            return
        outputs = [
            *self._progress(painting.total, painting.total),
            pb_utils.Tensor("IMAGE", painting.image[np.newaxis]),
            _tensor("FINGERPRINT", FINGERPRINT.encode(), np.object_),
        ]
        sender.send(pb_utils.InferenceResponse(outputs), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _progress(self, step: int, total: int) -> list:
        return [_tensor("STEP", step, np.int32), _tensor("STEPS", total, np.int32)]

    def _fail(self, sender: object, code: str, sentence: str) -> None:
        # A gRPC stream carries an error's text and not its code, so the text begins with the code.
        error = pb_utils.TritonError(f"{code}: {sentence}", getattr(pb_utils.TritonError, TRITON_CODES[code]))
        sender.send(pb_utils.InferenceResponse(error=error), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
