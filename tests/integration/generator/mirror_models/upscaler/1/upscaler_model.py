# mypy: ignore-errors
# It runs in Triton's own interpreter, whose modules nobody else has.
"""A model for tests: repeats every pixel, and lies about the size of a picture that is one pixel high."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            image = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy()
            scale = int(pb_utils.get_input_tensor_by_name(request, "SCALE").as_numpy()[0, 0])
            enlarged = image if image.shape[1] == 1 else image.repeat(scale, axis=1).repeat(scale, axis=2)
            tensors = [
                pb_utils.Tensor("IMAGE", enlarged),
                pb_utils.Tensor("FINGERPRINT", np.array([[b"repeats pixels"]], np.object_)),
            ]
            sender = request.get_response_sender()
            sender.send(pb_utils.InferenceResponse(tensors), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
