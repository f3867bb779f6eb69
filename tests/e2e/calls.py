"""What callers of the whole product do: submit, wait, fetch."""

from typing import Any

import httpx

from support.eventually import eventually_sync

ENDED = {"complete", "partial", "failed", "cancelled"}
ALL_FAMILIES = ["square", "landscape", "portrait", "hero", "facebook-og"]


def a_request(name: str, **changes: Any) -> dict[str, Any]:
    """The marketing platform's own request, under a name of the test's."""
    generation = {
        "prompt": "Professional sunset beach scene, warm golden hour lighting, serene ocean waves",
        "negativePrompt": "people, text, watermark, low quality",
        "seed": 1234567890,
        "model": "photorealistic",
        "inferenceSteps": 30,
        "guidanceScale": 7.5,
    }
    return {
        "name": name,
        "category": "marketing/seo",
        "families": changes.pop("families", ["square", "landscape", "facebook-og"]),
        "generation": {**generation, **changes},
        "isDxJob": True,
    }


def submit(url: str, body: dict[str, Any], **headers: str) -> str:
    """The id of the accepted variation."""
    answer = httpx.post(f"{url}/api/images/variations", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def read(url: str, variation_id: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/api/images/variations/{variation_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(url: str, variation_id: str, *, within_seconds: float = 60) -> dict[str, Any]:
    """The variation once it has ended."""

    def look() -> dict[str, Any] | None:
        variation = read(url, variation_id)
        return variation if variation["status"] in ENDED else None

    return eventually_sync(look, within_seconds=within_seconds, every_seconds=0.1)
