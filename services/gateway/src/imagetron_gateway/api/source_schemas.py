"""Response bodies of `/api/images/sources`."""

from datetime import datetime

from pydantic import Field

from imagetron_gateway.api.schemas import Shown
from imagetron_gateway.domain.sources import Source


class SourceShown(Shown):
    """An uploaded picture."""

    id: str = Field(description="`src_` and 32 hexadecimal digits.")
    width: int
    height: int
    digest: str = Field(description="sha256 of its pixels, as rows of RGB bytes, in hexadecimal.")
    expires_at: datetime = Field(description="Until then images can be made from it.")

    @classmethod
    def of(cls, source: Source) -> "SourceShown":
        return cls(
            id=source.id,
            width=source.size.width,
            height=source.size.height,
            digest=source.digest,
            expires_at=source.expires_at,
        )
