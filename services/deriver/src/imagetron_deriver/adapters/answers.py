"""What a child says. It decoded foreign bytes, so nothing of it is taken on trust: every answer is checked before it counts."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.findings import Finding

# Uncompressed with a fourth byte for each pixel; metadata, with the longest prompt, take less than a tenth of the rest.
_BYTES_EACH: Final = 4
_ROOM_BYTES: Final = 1 << 20


class Answer(BaseModel):
    """One thing; if that is a picture, its bytes follow."""

    model_config = ConfigDict(allow_inf_nan=False)

    ready: bool = False
    opened: bool = False
    found: Finding | None = None
    made: bool = False
    unreadable: str | None = Field(default=None, max_length=500)
    exhausted: bool = False
    seconds: float = Field(default=0, ge=0, le=3600)
    lengths: tuple[Annotated[int, Field(ge=1)], ...]

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        said = (
            self.ready,
            self.opened,
            self.found is not None,
            self.made,
            self.unreadable is not None,
            self.exhausted,
        )
        if sum(said) != 1 or len(self.lengths) != self.made:
            raise ValueError("neither what was asked for nor one reason against it")
        return self

    def is_ready(self) -> bool:
        return self.ready

    def is_opened(self) -> bool:
        return self.opened or self.unreadable is not None or self.exhausted

    def has_looked(self) -> bool:
        return self.found is not None or self.exhausted

    def has_cut(self, cut: Cut) -> bool:
        """Asked before the picture comes: it must not be larger than one of its size can be."""
        if not self.made:
            return self.exhausted
        return self.lengths[0] <= cut.size.width * cut.size.height * _BYTES_EACH + _ROOM_BYTES
