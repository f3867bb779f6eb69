"""Log lines: one JSON object each, with who, which trace and which job, and never what was in a variable."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from structlog.contextvars import bound_contextvars

from imagetron_chassis.errors import Transient
from imagetron_chassis.logs import configure_logs, log

CANARY = "canary-9b21-a-prompt"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def paint(prompt: str) -> None:
    raise LookupError(f"no brush for {prompt}")


def test_a_line_is_one_json_object_with_service_level_time_and_fields(read: Any):
    configure_logs("painter", level="info", style="json")

    log().info("family_rendered", family="square", seconds=1.5)

    [line] = read()
    assert (
        line.items()
        >= {
            "event": "family_rendered",
            "level": "info",
            "service": "painter",
            "family": "square",
            "seconds": 1.5,
        }.items()
    )
    assert line["timestamp"].endswith("Z")


def test_a_line_inside_a_span_carries_its_trace_and_bound_job(read: Any):
    configure_logs("painter", level="info", style="json")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")

    with tracer.start_as_current_span("work") as span, bound_contextvars(job_id="job-1"):
        log().info("inside")
        logging.getLogger("library").warning("also inside")
    log().info("outside")

    inside, also, outside = read()
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert (inside["trace_id"], inside["job_id"]) == (trace_id, "job-1")
    assert (also["trace_id"], also["job_id"], also["event"]) == (trace_id, "job-1", "also inside")
    assert "trace_id" not in outside
    assert "job_id" not in outside


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("logger", ["ours", "a library's"])
def test_a_foreign_exception_is_logged_with_its_frames_without_variables_and_without_its_message(
    style: Any, logger: str, capsys: pytest.CaptureFixture[str]
):
    configure_logs("painter", level="info", style=style)

    try:
        paint(CANARY)
    except LookupError as error:
        if logger == "ours":
            log().error("painting_broke", exc_info=error)
        else:
            logging.getLogger("library").exception("painting broke")

    written = capsys.readouterr().out
    assert "builtins.LookupError" in written
    assert "in paint" in written
    assert CANARY not in written
    assert style == "console" or len(written.splitlines()) == 1


def test_an_error_of_ours_is_logged_with_its_sentence_and_what_caused_it(read: Any):
    configure_logs("painter", level="info", style="json")

    try:
        try:
            paint(CANARY)
        except LookupError as cause:
            raise Transient("the easel is away") from cause
    except Transient as error:
        log().error("painting_broke", exc_info=error)

    [line] = read()
    assert "imagetron_chassis.errors.Transient: the easel is away" in line["exception"]
    assert "builtins.LookupError" in line["exception"]
    assert CANARY not in line["exception"]


def test_lines_below_the_level_are_not_written(read: Any):
    configure_logs("painter", level="warning", style="json")

    log().info("quiet")
    logging.getLogger("library").info("quiet")
    log().warning("loud")

    assert [line["event"] for line in read()] == ["loud"]


@pytest.mark.parametrize(
    "library", ["aio_pika.robust_connection", "aiormq.connection", "uvicorn.access", "botocore.hooks"]
)
def test_chatter_of_libraries_is_not_written(library: str, read: Any):
    configure_logs("painter", level="debug", style="json")

    logging.getLogger(library).info("a frame")

    assert read() == []


def test_a_line_stays_one_line_whatever_is_in_it(read: Any):
    configure_logs("painter", level="info", style="json")

    log().info("odd", text='line\nbreak "quoted" \x00 ü', number=float("inf"), thing=object())

    assert len(read()) == 1
