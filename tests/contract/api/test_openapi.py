"""The OpenAPI document is a contract: openapi.json is the committed one, and a change of it is a reviewed act.

To renew it: RENEW_OPENAPI=1 .venv/bin/pytest tests/contract/api/test_openapi.py
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from contract.api.counter import Counter
from support.builders import a_variation_request

SNAPSHOT = Path(__file__).with_name("openapi.json")
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture
def document() -> dict[str, Any]:
    return Counter().application.openapi()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_the_committed_one(document):
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("RENEW_OPENAPI"):
        SNAPSHOT.write_text(text, encoding="utf-8")

    assert text == SNAPSHOT.read_text(encoding="utf-8"), "the API has changed; see the docstring of this module"


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_these_are_the_operations(document):
    assert sorted(operations(document)) == [
        "DELETE /api/images/sources/{source_id}",
        "DELETE /api/prompts/subjects/history",
        "DELETE /api/prompts/{prompt_id}",
        "GET /api/admin/audit",
        "GET /api/admin/dead-letters",
        "GET /api/admin/dead-letters/{queue}",
        "GET /api/admin/dead-letters/{queue}/{letter_id}",
        "GET /api/admin/events",
        "GET /api/admin/queue",
        "GET /api/admin/queue/jobs",
        "GET /api/images",
        "GET /api/images/families",
        "GET /api/images/health/ml",
        "GET /api/images/models",
        "GET /api/images/sources/{source_id}",
        "GET /api/images/variations",
        "GET /api/images/variations/name/{name}",
        "GET /api/images/variations/{variation_id}",
        "GET /api/images/{image_id}",
        "GET /api/images/{variation_name}/{picture_name}",
        "GET /api/jobs/{job_id}",
        "GET /api/jobs/{job_id}/families/{family}/crops",
        "GET /api/prompts",
        "GET /api/prompts/statuses",
        "GET /api/prompts/subjects/history",
        "GET /api/prompts/{prompt_id}",
        "GET /cdn/{job_id}/{file_name}",
        "GET /image/job-list",
        "GET /image/job-status/{job_id}",
        "PATCH /api/jobs/{job_id}/families/{family}/crops",
        "PATCH /api/prompts/{prompt_id}",
        "POST /api/admin/dead-letters/{queue}/drop",
        "POST /api/admin/dead-letters/{queue}/replay",
        "POST /api/admin/queue/clear",
        "POST /api/admin/queue/lanes/{lane}/pause",
        "POST /api/admin/queue/lanes/{lane}/resume",
        "POST /api/admin/queue/retry",
        "POST /api/images/imagine",
        "POST /api/images/sources",
        "POST /api/images/variations",
        "POST /api/images/variations/{variation_id}/regenerate",
        "POST /api/images/{image_id}/reroll",
        "POST /api/images/{image_id}/upscale",
        "POST /api/images/{image_id}/vary",
        "POST /api/jobs/{job_id}/cancel",
        "POST /api/jobs/{job_id}/replay",
        "POST /api/jobs/{job_id}/retry",
        "POST /api/prompts",
        "POST /api/prompts/subjects",
        "POST /api/prompts/{prompt_id}/title",
        "POST /image/enhance-prompt",
        "POST /image/execute-prompt",
        "POST /webhooks/providers/{provider}/{token}",
    ]


def test_every_operation_documents_its_problems(document):
    for name, operation in operations(document).items():
        problems = {status: answer for status, answer in operation["responses"].items() if status[0] in "45d"}
        # That no model can serve is what health/ml was asked for, and no problem of the request.
        if name == "GET /api/images/health/ml":
            assert problems.pop("503")["content"].keys() == {"application/json"}
        assert "default" in problems, name
        for status, answer in problems.items():
            assert answer["content"] == PROBLEM, (name, status)
            assert answer["description"], (name, status)


def test_no_answer_is_described_in_the_frameworks_own_form(document):
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()


def test_operations_have_summaries_and_ids_of_their_own(document):
    described = operations(document)

    assert all(operation["summary"] for operation in described.values())
    assert len({operation["operationId"] for operation in described.values()}) == len(described)


def test_requests_refuse_unknown_fields(document):
    schemas = document["components"]["schemas"]

    bodies = [name for name in schemas if name.endswith("Body")]
    assert bodies == [
        "BoxBody",
        "CancelBody",
        "ChangeBody",
        "ClearBody",
        "CropBody",
        "DropBody",
        "EnhanceBody",
        "ExecuteBody",
        "GenerationBody",
        "ImagineBody",
        "OutputBody",
        "PauseBody",
        "PointBody",
        "ReplayBody",
        "RerollBody",
        "RetryBody",
        "RetryManyBody",
        "SubjectBody",
        "SubjectsBody",
        "UpscaleBody",
        "VariationBody",
        "VaryBody",
        "WatermarkBody",
        "WriteBody",
    ]
    assert all(schemas[name]["additionalProperties"] is False for name in bodies)


def test_the_documented_example_is_the_marketing_platforms_own(document):
    assert document["components"]["schemas"]["VariationBody"]["examples"] == [a_variation_request()]


async def test_a_client_that_sends_every_documented_default_is_accepted(counter, document):
    schemas = document["components"]["schemas"]
    body = a_variation_request()
    for place, schema in ((body, schemas["VariationBody"]), (body["generation"], schemas["GenerationBody"])):
        for name, described in schema["properties"].items():
            place.pop(name, None) if name not in schema["required"] else None
            place.update({name: described["default"]} if "default" in described else {})

    assert (await counter.submit(body)).status_code == 202
