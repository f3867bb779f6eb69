# mypy: ignore-errors
# It runs in Triton's own interpreter, whose modules nobody else has.
"""A model for tests: grey pictures, unless the file `mood` beside the repository or a word of the prompt says otherwise.

Each call that reaches it is a line of `calls` beside the repository: what the outside world saw, whatever becomes of the
caller.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

LOOK_SECONDS = 0.02


class TritonPythonModel:
    def initialize(self, args):
        self._name = args["model_name"]
        self._folder = Path(args["model_repository"]).parent.parent

    def execute(self, requests):
        for request in requests:
            self._answer(request)

    def _answer(self, request):
        sender = request.get_response_sender()
        prompt, seed = self._only(request, "PROMPT").decode(), int(self._only(request, "SEED"))
        negative = self._only(request, "NEGATIVE_PROMPT").decode()
        self._record({"model": self._name, "prompt": prompt, "negativePrompt": negative, "seed": seed})
        # Deaf to cancellation, as a kernel on a GPU is.
        while self._mood() == "hang":
            time.sleep(LOOK_SECONDS)
        if "huge" in prompt:
            text = "RESOURCE_EXHAUSTED: CUDA out of memory. Tried to allocate 20.00 GiB."
            error = pb_utils.TritonError(text, pb_utils.TritonError.UNAVAILABLE)
            response = pb_utils.InferenceResponse(error=error)
        else:
            height, width = int(self._only(request, "HEIGHT")), int(self._only(request, "WIDTH"))
            response = pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor("STEP", np.array([[1]], np.int32)),
                    pb_utils.Tensor("STEPS", np.array([[1]], np.int32)),
                    pb_utils.Tensor("IMAGE", np.full((1, height, width, 3), seed % 256, np.uint8)),
                    pb_utils.Tensor("FINGERPRINT", np.array([[b"unruly"]], np.object_)),
                ]
            )
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _mood(self):
        try:
            return (self._folder / "mood").read_text()
        except FileNotFoundError:
            return "well"

    def _record(self, call):
        descriptor = os.open(self._folder / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, (json.dumps(call) + "\n").encode())
        os.close(descriptor)

    @staticmethod
    def _only(request, name):
        return pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0, 0]
