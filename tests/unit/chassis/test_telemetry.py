"""Trace context in and out of messages, and spans as lines of a file."""

import json
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from imagetron_chassis.telemetry import SpansFile, context_of, traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.fixture
def tracer() -> trace.Tracer:
    return TracerProvider(shutdown_on_exit=False).get_tracer("test")


def trace_of(span: trace.Span) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def test_outside_of_any_span_there_is_no_traceparent():
    assert traceparent() is None


def test_a_context_that_leaves_as_a_traceparent_comes_back_as_the_same(tracer: trace.Tracer):
    with tracer.start_as_current_span("send") as sent:
        value = traceparent()
    with tracer.start_as_current_span("receive", context=context_of(value)) as received:
        parent = received.parent  # type: ignore[attr-defined]

    assert trace_of(received) == trace_of(sent)
    assert parent.span_id == sent.get_span_context().span_id


def test_a_traceparent_from_elsewhere_is_continued_and_its_sampling_flag_kept(tracer: trace.Tracer):
    with tracer.start_as_current_span("receive", context=context_of(f"00-{TRACE}-{SPAN}-01")) as span:
        assert trace_of(span) == TRACE
        assert (traceparent() or "").startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'g' * 32}-{SPAN}-01",
        "é" * 55,
        "0" * 10_000,
    ],
)
def test_a_traceparent_that_cannot_be_read_starts_a_new_trace_although_another_one_is_current(
    garbage: str | None, tracer: trace.Tracer
):
    with (
        tracer.start_as_current_span("unrelated") as unrelated,
        tracer.start_as_current_span("receive", context=context_of(garbage)) as span,
    ):
        assert span.parent is None  # type: ignore[attr-defined]
        assert trace_of(span) not in {trace_of(unrelated), TRACE}


def test_the_spans_file_has_one_line_for_each_span_and_is_appended_to(tmp_path: Path):
    path = tmp_path / "new" / "spans.jsonl"
    for round_number in (1, 2):
        provider = TracerProvider(resource=Resource({"service.name": "imagetron-test"}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(SpansFile(path)))
        tracer = provider.get_tracer("test")
        with (
            tracer.start_as_current_span("outer"),
            tracer.start_as_current_span("inner", attributes={"n": round_number}),
        ):
            pass
        provider.shutdown()

    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [(line["name"], line["service"]) for line in lines] == [
        ("inner", "imagetron-test"),
        ("outer", "imagetron-test"),
    ] * 2
    inner, outer = lines[:2]
    assert inner["parent"] == outer["span"]
    assert outer["parent"] is None
    assert inner["trace"] == outer["trace"] != lines[2]["trace"]
    assert inner["attributes"] == {"n": 1}
    assert outer["start_ns"] <= inner["start_ns"] <= inner["end_ns"] <= outer["end_ns"]
