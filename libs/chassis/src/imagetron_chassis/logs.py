"""Structured logs: one JSON object a line (or coloured lines for people), with service, trace and job. No log events."""

import logging
import sys
import traceback
from typing import Any, Literal, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from imagetron_chassis.errors import ChassisError


def configure_logs(service: str, *, level: str, style: Literal["json", "console"]) -> None:
    """Send everything, libraries' lines included, through structlog to standard output."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_service(service),
        _with_trace,
    ]
    console = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_print_frames)
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer() if style == "json" else console
    exceptions = structlog.processors.ExceptionRenderer(_frames)
    finish: list[structlog.typing.Processor] = [exceptions] if style == "json" else []
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Libraries that speak of every frame, request or reconnect at our own level would drown our facts.
    for noisy in (
        "aio_pika",
        "aiormq",
        "uvicorn.access",
        "uvicorn.error",
        "botocore",
        "boto3",
        "urllib3",
        "httpx",
        "httpcore",
        "httpx2",
        "httpcore2",
        "openai",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for loud in ("aio_pika.robust_connection", "aiormq.connection"):
        logging.getLogger(loud).setLevel(logging.ERROR)


def _print_frames(out: TextIO, exc_info: ExcInfo) -> None:
    out.write("\n" + _frames(exc_info))


def _frames(exc_info: ExcInfo) -> str:
    """Where it broke, innermost last, down the chain of causes.

    No local variables, and no message of an exception that is not ours: pydantic, for one, quotes what it read, and that
    may be a prompt.
    """
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        parts.extend(traceback.format_tb(error.__traceback__))
        message = f": {error}" if isinstance(error, ChassisError | OSError) else ""
        parts.append(f"{type(error).__module__}.{type(error).__qualname__}{message}\n")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(parts).rstrip()


def _with_service(service: str) -> structlog.typing.Processor:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    return event


def log() -> Any:  # noqa: ANN401 - structlog's bound loggers are duck-typed
    """The logger. Events are snake_case facts; ids are fields, never part of the text."""
    return structlog.get_logger()
