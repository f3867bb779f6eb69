"""The upscaler behind Triton's protocol; how pictures are enlarged lives in enlarging/, which knows nothing of Triton.

One request is one picture and one answer: the enlarged picture, or an error "CODE: sentence". Cancelled requests end
before their next tile.
"""

import logging
import os
from time import perf_counter

import numpy as np
import triton_python_backend_utils as pb_utils
from enlarging import BadSetting, Enlarger, Failed, Refused, load, settings_from

# Names and not values: pb_utils.TritonError exists only once the server has started this process.
TRITON_CODES = {
    "INVALID_ARGUMENT": "INVALID_ARG",
    "RESOURCE_EXHAUSTED": "UNAVAILABLE",
    "CANCELLED": "CANCELLED",
    "INTERNAL": "INTERNAL",
}

log = logging.getLogger(__name__)


class TritonPythonModel:
    def initialize(self, args: dict) -> None:
        """Ready means ready: the weights are loaded and have enlarged a tile. Without weights the model refuses to load."""
        on_gpu = args["model_instance_kind"] == "GPU"
        try:
            settings = settings_from(
                os.environ, device=f"cuda:{args['model_instance_device_id']}" if on_gpu else "auto"
            )
            self._enlarger: Enlarger = load(settings)
        except BadSetting as error:
            raise pb_utils.TritonModelException(str(error)) from error
        pb_utils.Logger.log_info(f"upscaler: {self._enlarger.fingerprint} enlarges {self._enlarger.factor} times")

    def execute(self, requests: list) -> list:
        return [self._answered(request) for request in requests]

    def _answered(self, request: "pb_utils.InferenceRequest") -> "pb_utils.InferenceResponse":
        began = perf_counter()
        try:
            image, scale = _read(request)
            enlarged = self._enlarger.enlarge(image, scale, is_cancelled=request.is_cancelled)
        except Failed as failure:
            return _failed(failure.code, str(failure))
        except Exception as error:
            # A defect's text may quote anything: the log has it, the caller its kind.
            log.exception("enlarging failed")
            return _failed("INTERNAL", f"The model failed ({type(error).__name__}).")
        outputs = [
            pb_utils.Tensor("IMAGE", enlarged[np.newaxis]),
            _tensor("FINGERPRINT", self._enlarger.fingerprint.encode(), np.object_),
            _tensor("MODEL_SECONDS", perf_counter() - began, np.float32),
        ]
        return pb_utils.InferenceResponse(outputs)


def _read(request: "pb_utils.InferenceRequest") -> "tuple[np.ndarray, int]":
    """The first number of each shape is Triton's batch dimension, which its configuration holds at 1."""
    image, scale = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("IMAGE", "SCALE"))
    if image.shape[0] != 1 or scale.shape != (1, 1):
        raise Refused(f"IMAGE and SCALE have the shapes {list(image.shape)} and {list(scale.shape)}; send one of each.")
    return image[0], int(scale[0, 0])


def _tensor(name: str, value: object, kind: object) -> "pb_utils.Tensor":
    return pb_utils.Tensor(name, np.array([[value]], dtype=kind))


def _failed(code: str, sentence: str) -> "pb_utils.InferenceResponse":
    # A gRPC stream carries an error's text and not its code, so the text begins with the code.
    error = pb_utils.TritonError(f"{code}: {sentence}", getattr(pb_utils.TritonError, TRITON_CODES[code]))
    return pb_utils.InferenceResponse(error=error)
