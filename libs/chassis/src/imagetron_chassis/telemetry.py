"""OpenTelemetry set-up: tracer and meter providers, context in and out of envelopes, a clean flush on stop. No names."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


class Telemetry:
    """The providers of one process. `start` makes them global; `stop` flushes and ends them."""

    def __init__(self, service: str, *, otlp_endpoint: str | None, spans_file: Path | None) -> None:
        self._service = service
        self._otlp_endpoint = otlp_endpoint
        self._spans_file = spans_file
        self._traces: TracerProvider | None = None
        self._metrics: MeterProvider | None = None

    def start(self) -> None:
        resource = Resource.create({"service.name": f"imagetron-{self._service}"})
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        if self._otlp_endpoint:
            endpoint = f"{self._otlp_endpoint.rstrip('/')}/v1/traces"
            self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        if self._spans_file:
            self._traces.add_span_processor(SimpleSpanProcessor(SpansFile(self._spans_file)))
        self._metrics = MeterProvider(
            resource=resource, metric_readers=[PrometheusMetricReader()], shutdown_on_exit=False
        )
        trace.set_tracer_provider(self._traces)
        metrics.set_meter_provider(self._metrics)

    def stop(self) -> None:
        if self._traces:
            self._traces.shutdown()
        if self._metrics:
            self._metrics.shutdown()


class SpansFile(SpanExporter):
    """Spans as JSON lines, appended: what one machine needs to follow a job without a collector."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        lines = "".join(json.dumps(_span_line(span), ensure_ascii=False) + "\n" for span in spans)
        with self._lock:
            self._file.write(lines)
            self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


def _span_line(span: ReadableSpan) -> dict[str, object]:
    own = span.get_span_context()
    return {
        "service": span.resource.attributes.get("service.name"),
        "name": span.name,
        "trace": f"{own.trace_id:032x}" if own else None,
        "span": f"{own.span_id:016x}" if own else None,
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "attributes": dict(span.attributes or {}),
    }


def traceparent() -> str | None:
    """The current span as a W3C traceparent, for an envelope that leaves."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def context_of(value: str | None) -> Context:
    """The context that an envelope or request came with; an unreadable value starts a new trace."""
    return _PROPAGATOR.extract({"traceparent": value} if value else {}, context=context.Context())
