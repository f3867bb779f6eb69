"""The header `Accept` of a request that submits a job: where the body names no formats, it chooses those of the files."""

from typing import Annotated

from fastapi import Depends, Request

from imagetron_contracts.media import ImageFormat
from imagetron_gateway.api.negotiating import media_ranges
from imagetron_gateway.api.output_schemas import OutputBody

_FORMATS = {form.content_type: form for form in ImageFormat}


def in_formats(output: OutputBody, accepted: tuple[ImageFormat, ...]) -> OutputBody:
    """With the accepted formats, unless the body names some itself or none is accepted by name."""
    if "formats" in output.model_fields_set or not accepted:
        return output
    return output.model_copy(update={"formats": list(accepted)})


def accepted_formats(header: str) -> tuple[ImageFormat, ...]:
    """Those named, the most wanted first. Wildcards choose nothing: who takes anything takes what is made anyway."""
    by_weight = sorted(media_ranges(header), key=lambda item: -item.weight)
    wanted = [_FORMATS.get(f"{item.kind}/{item.subtype}") for item in by_weight if item.weight > 0]
    return tuple(dict.fromkeys(form for form in wanted if form))


async def _read(request: Request) -> tuple[ImageFormat, ...]:
    return accepted_formats(",".join(request.headers.getlist("accept")))


Accepted = Annotated[tuple[ImageFormat, ...], Depends(_read)]
"""The formats that `Accept` names, the most wanted first, in its own order where it wants them equally."""
