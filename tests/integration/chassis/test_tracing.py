"""One trace goes from whoever publishes through the consumer to the facts that it publishes, delays included."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from imagetron_chassis.delivery import Subscription
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_FAILED, GATEWAY_PUBLISHED, delay_queue
from integration.chassis.workbench import Bench, Handler, published, renders, stage_failed


async def publish_in_a_trace(bench: Bench, *, tries: int = 1) -> str:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("whoever publishes") as span:
        await bench.hand_over(renders(), queue=DERIVER_RENDERS, tries=tries)
    return f"{span.get_span_context().trace_id:032x}"


async def test_the_trace_of_a_message_is_that_of_the_handler_and_of_its_facts(bench: Bench):
    seen: list[str] = []

    async def handler(_: object) -> list[object]:
        seen.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")
        return [published()]

    await bench.consume(Subscription(DERIVER_RENDERS, handler))  # type: ignore[arg-type]

    trace_id = await publish_in_a_trace(bench)

    fact = await bench.take_envelope(GATEWAY_PUBLISHED.name)
    assert seen == [trace_id]
    assert (fact.traceparent or "").split("-")[1] == trace_id


async def test_a_message_that_waits_for_another_try_and_a_failure_stay_in_the_trace(bench: Bench):
    await bench.consume(Subscription(DERIVER_RENDERS, Handler(KeyError("a bug")), failure=stage_failed))

    trace_id = await publish_in_a_trace(bench)
    waiting = await bench.take_envelope(delay_queue(5))
    last_trace_id = await publish_in_a_trace(bench, tries=3)
    failure = await bench.take_envelope(GATEWAY_FAILED.name)

    assert (waiting.traceparent or "").split("-")[1] == trace_id
    assert (failure.traceparent or "").split("-")[1] == last_trace_id
