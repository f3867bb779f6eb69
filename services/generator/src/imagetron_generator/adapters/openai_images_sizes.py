"""Which sizes OpenAI's image models take. Source: the parameter `size` of `images.generate` in OpenAI's SDK 3.52.

The bounds of the area and the longest edge are those of OpenAI's guide to image generation for gpt-image-2.
"""

import re
from typing import Final

from imagetron_contracts.media import Dimensions

_STANDARD: Final = ((1024, 1024), (1536, 1024), (1024, 1536))
_STEP: Final = 16
_LONGEST_EDGE: Final = 3840
_LONGEST_TO_SHORTEST: Final = 3
_LEAST_PIXELS: Final = 655_360
_MOST_PIXELS: Final = 8_294_400

# With their minor versions, variants and dated snapshots.
_FIXED: Final = re.compile(r"(gpt-image-1|chatgpt-image)([.-].*)?")
_FREE: Final = re.compile(r"gpt-image-2([.-].*)?")


def is_gpt_image(model: str) -> bool:
    """Whether it is one of OpenAI's own, which take parameters that no other server knows."""
    return _FIXED.fullmatch(model) is not None or _FREE.fullmatch(model) is not None


def objection_to(size: Dimensions, model: str) -> str | None:
    """What keeps the model from making a picture of this size; None if nothing does, or if only its server can tell."""
    if _FIXED.fullmatch(model) and (size.width, size.height) not in _STANDARD:
        return f"its sizes are {', '.join(f'{width}x{height}' for width, height in _STANDARD)}"
    if not _FREE.fullmatch(model):
        return None
    shorter, longer = sorted((size.width, size.height))
    if shorter % _STEP or longer % _STEP:
        return f"width and height must be multiples of {_STEP}"
    if longer > _LONGEST_EDGE:
        return f"no edge may be longer than {_LONGEST_EDGE}"
    if longer > _LONGEST_TO_SHORTEST * shorter:
        return f"no edge may be more than {_LONGEST_TO_SHORTEST} times as long as the other"
    if not _LEAST_PIXELS <= shorter * longer <= _MOST_PIXELS:
        return f"it must have {_LEAST_PIXELS} to {_MOST_PIXELS} pixels"
    return None
