"""A classifier of outputs for tests: it withholds pictures of one width. Loaded by the model's process, by its name."""

import numpy as np

WITHHELD_WIDTH = 72


class Prude:
    def __call__(self, images: np.ndarray) -> list[bool]:
        return [image.shape[1] != WITHHELD_WIDTH for image in images]
