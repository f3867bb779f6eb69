# mypy: ignore-errors
# It runs in Triton's own interpreter, whose modules nobody else has.
"""A model for tests: gives the source back, or a grey picture, and tells what it was sent as its fingerprint.

A prompt that begins with a word and a colon is an error that begins with that word.
"""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            sender.send(self._answer(request), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answer(self, request):
        prompt = self._only(request, "PROMPT").decode()
        if ":" in prompt:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(prompt))
        source = pb_utils.get_input_tensor_by_name(request, "SOURCE")
        strength = pb_utils.get_input_tensor_by_name(request, "STRENGTH")
        height, width = int(self._only(request, "HEIGHT")), int(self._only(request, "WIDTH"))
        image = np.full((1, height, width, 3), 128, np.uint8) if source is None else source.as_numpy()
        told = {
            "checkpoint": self._only(request, "CHECKPOINT").decode(),
            "scheduler": self._only(request, "SCHEDULER").decode(),
            "source": None if source is None else list(source.as_numpy().shape),
            "strength": None if strength is None else float(strength.as_numpy()[0, 0]),
        }
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("STEP", np.array([[1]], np.int32)),
                pb_utils.Tensor("STEPS", np.array([[1]], np.int32)),
                pb_utils.Tensor("IMAGE", image[None]),
                pb_utils.Tensor("FINGERPRINT", np.array([[json.dumps(told).encode()]], np.object_)),
                pb_utils.Tensor("MODEL_SECONDS", np.array([[1.5]], np.float32)),
            ]
        )

    @staticmethod
    def _only(request, name):
        return pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0, 0]
