"""Ids in paths."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from imagetron_gateway.domain.naming import job_id_of

JobId = Annotated[
    str,
    Path(max_length=100, description="The id that the submission answered, as a UUID or as `imgjob_...`."),
    AfterValidator(job_id_of),
]
