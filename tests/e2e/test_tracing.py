"""One trace follows a job through every process, and leaves with its events."""

from itertools import groupby

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
    # From the last hop back to the request: every parent is another span of the trace, and each service is on the way.
    way = [returned[0]]
    while way[-1]["parent"] in by_id:
        way.append(by_id[way[-1]["parent"]])
    services = [service for service, _ in groupby(span["service"] for span in way)]
    assert [service.removeprefix("imagetron-") for service in services] == [
        "gateway",
        "publisher",
        "deriver",
        "generator",
        "gateway",
    ]
    assert way[-1]["name"] == "POST /api/images/variations"
    assert way[-1]["parent"] == "00f067aa0ba902b7"
