"""Builders of what a gateway answers, and a gateway at the transport seam."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from PIL import Image

State = dict[str, Any]

PROBLEM = {
    "type": "urn:imagetron:problem:invalid-request",
    "title": "Invalid request",
    "status": 422,
    "detail": "1 problem in the request; nothing was stored",
    "code": "invalid-request",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "retryable": False,
    "errors": [{"pointer": "/families/0", "detail": "unknown family 'round'"}],
}


def a_picture(
    family: str = "square", name: str = "square", size: tuple[int, int] = (1024, 1024), **other: Any
) -> State:
    url = f"http://gateway/cdn/{family}-{name}.webp"
    return {"family": family, "name": name, "image": 0, "url": url, "width": size[0], "height": size[1], **other}


def a_variation(status: str = "complete", pictures: Sequence[State] = (), **families: float) -> State:
    states = {
        name.replace("_", "-"): {"status": "completed" if progress == 1 else "generating", "progress": progress}
        for name, progress in families.items()
    }
    return {
        "id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "name": "beach",
        "status": status,
        "families": states,
        "derivatives": list(pictures),
    }


def webp(size: tuple[int, int]) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", size, "teal").save(body, "WEBP")
    return body.getvalue()


def a_gateway(
    states: Sequence[State], *, objects: Callable[[str], bytes] = lambda _: webp((1024, 1024))
) -> tuple[httpx.MockTransport, list[State]]:
    """Accepts anything, tells one state after the other (the last for ever), serves objects. Keeps the bodies."""
    bodies: list[State] = []
    remaining = list(states)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            bodies.append(json.loads(request.content))
            return httpx.Response(202, json={"id": states[0]["id"], "status": "pending", "name": bodies[-1]["name"]})
        if request.url.path.startswith("/cdn/"):
            return httpx.Response(200, content=objects(request.url.path))
        return httpx.Response(200, json=remaining.pop(0) if len(remaining) > 1 else remaining[0])

    return httpx.MockTransport(answer), bodies
