"""Prompts are the callers' content: they reach the model and the document, and nothing else."""

import httpx

from e2e.calls import a_request, ended, submit
from support.listening import Listener

CANARY = "zanzibar-quicksilver-lantern"
SECRET = "vermilion-octopus-parade"


async def test_no_prompt_text_is_in_any_message_event_log_or_span(stack):
    body = a_request("canary", families=["square"], prompt=f"A {CANARY} by the sea", negativePrompt=SECRET)

    async with (
        Listener(stack.amqp_url, "imagetron.stages") as stages,
        Listener(stack.amqp_url, "imagetron.hints") as hints,
        Listener(stack.amqp_url, "imagetron.events") as events,
    ):
        variation_id = submit(stack.url, body)
        await events.until("VARIATION_COMPLETED", variation_id)
        # A refused request must not put its prompt anywhere either.
        refused = httpx.post(  # noqa: ASYNC210 - nothing else runs in this loop
            f"{stack.url}/api/images/variations", json={**body, "families": [CANARY]}
        )
    finished = ended(stack.url, variation_id)

    assert refused.status_code == 422
    assert stages.messages(variation_id)
    assert hints.bodies
    passed = [*stages.bodies, *hints.bodies, *events.bodies]
    written = [path.read_bytes() for path in stack.state.rglob("*") if path.suffix in {".log", ".jsonl"}]
    assert written
    for word in (CANARY.encode(), SECRET.encode()):
        assert not any(word in text for text in passed)
        assert not any(word in text for text in written)
    # The canary did travel: the model got it, and the owner can read it.
    assert CANARY in finished["generation"]["prompt"]
