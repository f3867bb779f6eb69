"""Looks at a render: where are faces, and how much draws the eye where? OpenCV and NumPy are named here and nowhere else.

Runs in a child process only. It decides nothing: what follows from a finding is decided outside, without the pixels.
"""

import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
Colours = NDArray[np.uint8]
Map = NDArray[np.float32]
Sums = NDArray[np.float64]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""

CASCADE: Final = "haarcascade_frontalface_alt2"
# To be raised with every change of what follows: findings under one name are to be the same for the same render.
RULES: Final = 1
DETECTOR: Final = f"opencv {cv2.__version__}, {CASCADE}, spectral residual, boolean maps, rules {RULES}"
# As in domain/subjects.py. Children start without what the domain needs.
PROFILE_BINS: Final = 64

# Candidates are looked for in a copy of this many pixels (480 x 274, of any shape) and in few sizes; as one hit is enough,
# small faces are found, and plenty of other things. So each is looked at again, alone, in its own resolution and in many
# sizes: faces are then hit 15 to 58 times, other things up to 8 (measured on benchmarks/crops and 20 other pictures).
PIXELS: Final = 480 * 274
SMALLEST: Final = 20
STEP: Final = 1.35
MOST_CANDIDATES: Final = 6
FACE_SIDE: Final = 64
FINE_STEP: Final = 1.1
FEWEST_HITS: Final = 12
# A hit reaches from the brows to the mouth. In shares of its side: up to the top of the hair, down below the chin, past
# the ears. Drawn by hand, heads on benchmarks/crops reach up to 0.6 (most of them 0.4), 0.25 and 0.2 beyond it.
ROOM_ABOVE: Final = 0.45
ROOM_BELOW: Final = 0.25
ROOM_BESIDE: Final = 0.2

# What draws the eye is looked for in a copy of as many pixels as a square of this side has. 32 to 96, and 5 to 8 levels,
# differed by less than 1 % of what is kept on benchmarks/crops.
SALIENCY_SIDE: Final = 64
LEVELS: Final = 8
# Of 256: what varies less is what some encoder left over.
LEAST_RANGE: Final = 4


def prepare() -> None:
    """Loads the models and runs each once, while the process may still have all the memory that it asks for."""
    # The parent counts on one processor for one render, and threads have stacks that count as memory.
    cv2.setNumThreads(1)
    cv2.ocl.setUseOpenCL(False)
    detect(Image.effect_noise((160, 90), 64).convert("RGB"))


def detect(image: Image.Image) -> dict[str, object]:
    """What was found in a picture, in shares of its width and height. The same pixels always give the same.

    Raises MemoryError where the process may not have more.
    """
    try:
        faces, (columns, rows) = _faces(image.convert("L")), _profiles(image)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        raise
    width, height = image.size
    shares = [
        [float(left / width), float(top / height), float(right / width), float(bottom / height)]
        for left, top, right, bottom in faces
    ]
    return {"detector": DETECTOR, "faces": shares, "columns": columns, "rows": rows}


@cache
def _cascade() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"{CASCADE}.xml"))


def _faces(grey: Image.Image) -> list[Rectangle]:
    """Heads with hair and chin, the largest first."""
    hits = [hit for hit in (_looked_at_again(grey, candidate) for candidate in _candidates(grey)) if hit]
    faces: list[Rectangle] = []
    for hit in sorted(set(hits), key=lambda hit: (hit[0] - hit[2], hit)):
        middle = (hit[0] + hit[2]) / 2, (hit[1] + hit[3]) / 2
        if not any(left <= middle[0] <= right and top <= middle[1] <= bottom for left, top, right, bottom in faces):
            faces.append(hit)
    return [_with_room(face, grey.size) for face in faces]


def _candidates(grey: Image.Image) -> Iterable[Rectangle]:
    """Where a face may be, the most likely first."""
    scale = min(1.0, math.sqrt(PIXELS / (grey.width * grey.height)))
    small = _equalised(grey, (max(1, round(grey.width * scale)), max(1, round(grey.height * scale))))
    hits = _cascade().detectMultiScale(small, scaleFactor=STEP, minNeighbors=0, minSize=(SMALLEST, SMALLEST))
    # Counted twice, so that a single hit is a group, too.
    groups, sizes = cv2.groupRectangles([*map(list, hits)] * 2, 1, 0.3)
    ranked = sorted(zip(groups, sizes, strict=True), key=lambda group: (-group[1], *group[0]))
    for (left, top, width, height), _ in ranked[:MOST_CANDIDATES]:
        yield left / scale, top / scale, (left + width) / scale, (top + height) / scale


def _looked_at_again(grey: Image.Image, candidate: Rectangle) -> Rectangle | None:
    """The face at a place, if there is one."""
    side = candidate[2] - candidate[0]
    left, top = max(0.0, candidate[0] - side / 2), max(0.0, candidate[1] - side / 2)
    right, bottom = min(grey.width, candidate[2] + side / 2), min(grey.height, candidate[3] + side / 2)
    scale = FACE_SIDE / side
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    hits, counts = _cascade().detectMultiScale2(
        _equalised(grey, size, (left, top, right, bottom)),
        scaleFactor=FINE_STEP,
        minNeighbors=FEWEST_HITS - 1,
        minSize=(FACE_SIDE * 5 // 8, FACE_SIDE * 5 // 8),
        maxSize=(FACE_SIDE * 8 // 5, FACE_SIDE * 8 // 5),
    )
    if not len(hits):
        return None
    _, (x, y, width, height) = max(zip(counts, map(tuple, hits), strict=True))
    return left + x / scale, top + y / scale, left + (x + width) / scale, top + (y + height) / scale


def _equalised(grey: Image.Image, size: tuple[int, int], box: Rectangle | None = None) -> Grey:
    return np.asarray(cv2.equalizeHist(np.asarray(grey.resize(size, Image.Resampling.BILINEAR, box))), np.uint8)


def _with_room(face: Rectangle, size: tuple[int, int]) -> Rectangle:
    left, top, right, bottom = face
    side = right - left
    return (
        max(0.0, left - ROOM_BESIDE * side),
        max(0.0, top - ROOM_ABOVE * side),
        min(float(size[0]), right + ROOM_BESIDE * side),
        min(float(size[1]), bottom + ROOM_BELOW * side),
    )


def _profiles(image: Image.Image) -> tuple[list[float], list[float]]:
    """How much draws the eye, from left to right and from top to bottom; empty where nothing does."""
    scale = min(1.0, SALIENCY_SIDE / math.sqrt(image.width * image.height))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = np.asarray(image.resize(size, Image.Resampling.BOX))
    if np.ptp(small, axis=(0, 1)).max() < LEAST_RANGE:
        return [], []
    salient = _standing_out(_unexpected(small)) + _standing_out(_surrounded(small))
    return _profile(salient.sum(axis=0)), _profile(salient.sum(axis=1))


def _unexpected(small: Colours) -> Map:
    """What a picture's spectrum does not lead one to expect (spectral residual, Hou and Zhang 2007)."""
    residual = cv2.saliency.StaticSaliencySpectralResidual.create()
    residual.setImageWidth(small.shape[1])
    residual.setImageHeight(small.shape[0])
    _, unexpected = residual.computeSaliency(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    return np.asarray(unexpected, np.float32)


def _surrounded(small: Colours) -> Map:
    """What differs from all around it and does not reach the edge (Boolean maps, Zhang and Sclaroff 2013)."""
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2Lab), (0, 0), 1.0)
    height, width = lab.shape[:2]
    surrounded = np.zeros((height, width), np.float32)
    for channel in cv2.split(lab):
        lowest, highest = np.quantile(channel, (0.02, 0.98))
        if highest - lowest < LEAST_RANGE:
            continue
        for level in np.linspace(lowest, highest, LEVELS + 2)[1:-1]:
            above = (channel > level).astype(np.uint8)
            for part in (above, 1 - above):
                _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
                left, top, wide, high = stats[:, 0], stats[:, 1], stats[:, 2], stats[:, 3]
                inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
                inside[0] = False
                surrounded += inside[labels]
    return np.asarray(cv2.GaussianBlur(surrounded, (0, 0), 1.0), np.float32)


def _standing_out(salient: Map) -> Map:
    """The more salient half of a map, of which every map has the same amount."""
    square = np.asarray(cv2.resize(salient, (PROFILE_BINS, PROFILE_BINS), interpolation=cv2.INTER_AREA), np.float32)
    above = np.maximum(square - np.median(square), 0)
    total = float(above.sum())
    return np.asarray(above / total if total > 0 else above, np.float32)


def _profile(sums: Sums) -> list[float]:
    """Shares of all bins. Squared, what stands out counts more than what is spread; smooth, as a window that has a thing
    in its middle is to be worth more than one that has it at its edge.
    """
    squared = _smooth(_smooth(sums, 2.0) ** 2, 4.0)
    total = float(squared.sum())
    return [float(share) for share in squared / total] if total > 0 else []


def _smooth(sums: Sums, sigma: float) -> Sums:
    reach = math.ceil(3 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.convolve(sums, weights / weights.sum(), "same")
