"""The body of `POST /api/images/variations`."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from imagetron_gateway.api.output_schemas import CropBody, OutputBody, unsaid
from imagetron_gateway.api.schemas import FAMILIES_SAID, Body, FamilyNames, GenerationBody, Name, Text

_CATEGORY: Final = r"^[A-Za-z0-9][A-Za-z0-9/_ .-]*$"


class VariationBody(Body):
    """A variation: one picture idea in several aspect families."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "hero-sunset-beach",
                    "category": "marketing/seo",
                    "families": ["square", "landscape", "facebook-og"],
                    "generation": {
                        "prompt": "Professional sunset beach scene, warm golden hour lighting, serene ocean waves",
                        "negativePrompt": "people, text, watermark, low quality",
                        "seed": 1234567890,
                        "model": "photorealistic",
                        "inferenceSteps": 30,
                        "guidanceScale": 7.5,
                    },
                    "isDxJob": True,
                }
            ]
        }
    )

    name: Name
    category: Text = Field(
        min_length=1, max_length=100, pattern=_CATEGORY, description="Yours to choose; told in events."
    )
    families: FamilyNames = Field(min_length=1, description=FAMILIES_SAID)
    generation: GenerationBody
    output: OutputBody = Field(default=OutputBody(), json_schema_extra=unsaid)
    crop: CropBody = CropBody()
    is_dx_job: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Somebody is waiting for it: the interactive lane."
    )
