"""What a detector says it found, and what is kept of it beside the render. It looked at foreign bytes: all of it is checked."""

import math
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from imagetron_contracts.crops import Share
from imagetron_contracts.message import Value
from imagetron_deriver.domain.subjects import PROFILE_BINS, Found, Region

# As many as the detector gives: with more, five images in many formats would not fit into a message.
MOST_FACES: Final = 6
# Sums of 64 shares that were rounded on their way.
_TOLERANCE: Final = 1e-3

_Name = Annotated[str, StringConstraints(pattern=r"^[!-~][ -~]{0,199}$")]
_Face = tuple[Share, Share, Share, Share]


class Finding(Value):
    """Faces as left, top, right, bottom; columns and rows add up to 1 each, unless there are none."""

    detector: _Name
    faces: Annotated[tuple[_Face, ...], Field(max_length=MOST_FACES)]
    columns: tuple[Share, ...]
    rows: tuple[Share, ...]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if any(left >= right or top >= bottom for left, top, right, bottom in self.faces):
            raise ValueError("a face has no inside")
        if not (_is_profile(self.columns) and _is_profile(self.rows)):
            raise ValueError(f"columns and rows are not {PROFILE_BINS} shares of one each")
        return self

    @classmethod
    def of(cls, found: Found) -> Self:
        faces = tuple((face.left, face.top, face.right, face.bottom) for face in found.faces)
        return cls(detector=found.detector, faces=faces, columns=found.columns, rows=found.rows)

    def as_found(self) -> Found:
        return Found(self.detector, tuple(Region(*face) for face in self.faces), self.columns, self.rows)


def _is_profile(shares: tuple[float, ...]) -> bool:
    return not shares or (len(shares) == PROFILE_BINS and math.isclose(sum(shares), 1, abs_tol=_TOLERANCE))
