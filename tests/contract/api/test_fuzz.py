"""Whatever is posted is answered in JSON, and never as our fault. IMAGETRON_TEST_EXAMPLES sets how much is tried."""

import asyncio
import json
import os
import string
from http import HTTPStatus

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.api.counter import VARIATIONS, Counter, the_problem
from imagetron_contracts.families import FAMILIES
from imagetron_gateway.adapters.jobs import JOBS
from support.builders import a_variation_request

# One for all examples: building an application costs more than asking it. What an example stores it removes.
COUNTER = Counter()
EXAMPLES = int(os.environ.get("IMAGETRON_TEST_EXAMPLES", "500"))
ODD_TEXTS = ["", "\x00", "\ud800", "$where", "../..", "a" * 4001, "\r\nX-Evil: 1", "\u2028", "{{7*7}}", "%s%n"]
ODD_NUMBERS = [0, -1, 2**63, -(2**63) - 1, 10**400, 1e308, 0.1, float("nan"), float("inf"), -0.0]

texts = st.text(max_size=20) | st.sampled_from(ODD_TEXTS) | st.text(st.characters(codec=None), max_size=5)
numbers = st.integers() | st.floats() | st.sampled_from(ODD_NUMBERS)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
generations = st.fixed_dictionaries(
    {},
    optional={
        "prompt": texts | values,
        "negativePrompt": texts | values,
        "seed": numbers | values,
        "model": st.sampled_from(["photorealistic", "anime", "turbo", "preview"]) | values,
        "inferenceSteps": st.integers(0, 70) | values,
        "guidanceScale": st.floats(-1, 16) | values,
        "extra": values,
    },
)
shares = st.floats(-0.1, 1.1) | numbers | values
boxes = st.fixed_dictionaries({}, optional=dict.fromkeys(["left", "top", "right", "bottom", "extra"], shares))
subjects = {
    "safeZone": boxes | values,
    "focalPoint": st.fixed_dictionaries({}, optional={"x": shares, "y": shares}) | values,
    "misfit": st.sampled_from(["cut", "pad", "borrow"]) | values,
}
crops = st.fixed_dictionaries(
    {},
    optional={
        **subjects,
        "families": st.dictionaries(
            st.sampled_from([*FAMILIES, "facebook"]) | texts, st.fixed_dictionaries({}, optional=subjects), max_size=3
        )
        | values,
        "extra": values,
    },
)
watermarks = st.fixed_dictionaries({}, optional={"text": texts | values, "placement": st.just("tiled") | values})
outputs = st.fixed_dictionaries(
    {},
    optional={
        "formats": st.lists(st.sampled_from(["webp", "jpeg", "png", "avif"]) | values, max_size=5) | values,
        "profile": st.sampled_from(["quality", "fast"]) | values,
        "watermark": watermarks | values,
        "embedPrompt": st.booleans() | values,
        "extra": values,
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(string.ascii_letters + string.digits + "-_", max_size=101) | values,
        "category": st.sampled_from(["marketing/seo", "x"]) | values,
        "families": st.lists(st.sampled_from([*FAMILIES, "facebook"]) | values, max_size=6) | values,
        "generation": generations | values,
        "output": outputs | values,
        "crop": crops | values,
        "isDxJob": st.booleans() | values,
        "$ne": values,
    },
)
# A valid body with some places overwritten gets further than a random one.
near_misses = st.builds(lambda changes, inner: a_variation_request(inner) | changes, bodies, generations)
# And one that only says more.
options = st.builds(
    lambda output, crop: a_variation_request(output=output, crop=crop),
    outputs | st.just({}),
    crops | st.just({}),
)


async def post(counter: Counter, content: bytes) -> int:
    answer = await counter.post(content)
    if answer.status_code == HTTPStatus.ACCEPTED:
        accepted = answer.json()
        assert accepted.keys() == {"id", "status", "name", "links"}
        assert (await counter.get(f"{VARIATIONS}/{accepted['id']}")).status_code == HTTPStatus.OK
        assert await counter.memory.delete(JOBS, accepted["id"])
    else:
        assert answer.status_code // 100 == 4, answer.text
        the_problem(answer, answer.status_code)
    assert await counter.stored() == 0
    return answer.status_code


@given(bodies | near_misses | options | values)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_is_answered_in_json_and_never_as_our_fault(body):
    asyncio.run(post(COUNTER, json.dumps(body).encode()))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=max(1, EXAMPLES // 5), deadline=None)
def test_any_bytes_are_answered_in_json_and_never_as_our_fault(content):
    assert asyncio.run(post(COUNTER, content)) != HTTPStatus.ACCEPTED
