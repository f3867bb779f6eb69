"""Named places where a test may have the process killed: `FAULT_PLAN="generator.stored=3"` dies at the third pass.

Without a plan a fault point costs one look at an empty dictionary. Settings refuse a plan in production.
"""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Final

PLAN_PATTERN: Final = r"^[a-z_.]+=[1-9]\d*(,[a-z_.]+=[1-9]\d*)*$"

FAULT_POINTS: Final = frozenset(
    {
        "gateway.before_insert",
        "gateway.after_insert",
        "gateway.before_commit",
        "gateway.after_commit",
        "gateway.cancel_before_marker",
        "relay.before_publish",
        "relay.after_confirm",
        "delivery.received",
        "delivery.before_facts",
        "delivery.before_ack",
        "delivery.sent_back_before_ack",
        "generator.model_answered",
        "generator.render_stored",
        "generator.record_stored",
        "paid_call.claimed",
        "task.intended",
        "task.claimed",
        "task.submitted",
        "task.recorded",
        "task.collected",
        "task.told",
        "task.failure_told",
        "deriver.file_stored",
        "deriver.manifest_stored",
        "publisher.file_copied",
        "blobs.before_link",
        "prompt.received",
        "prompt.claimed",
        "prompt.asked",
        "prompt.before_commit",
        "prompt.before_ack",
    }
)
"""Every point that exists; a plan that names another one is refused."""

_plan: dict[str, int] = {}
_passes: Counter[str] = Counter()
_service = ""
_ledger: Path | None = None


def arm(service: str, plan: str, ledger: Path | None) -> None:
    """Die where the plan says: `point=n` separated by commas. Raises ValueError on an unknown point.

    Each death is first appended to the ledger, as a line of JSON: time, service, pid, point, pass.
    """
    global _service, _ledger
    wanted = dict(part.split("=") for part in plan.split(","))
    if unknown := sorted(wanted.keys() - FAULT_POINTS):
        raise ValueError(f"FAULT_PLAN: no such fault point: {', '.join(unknown)}")
    _plan.update({point: int(times) for point, times in wanted.items()})
    _service, _ledger = service, ledger


def fault_point(name: str) -> None:
    """Die here, by SIGKILL, if the plan says so."""
    if name not in _plan:
        return
    _passes[name] += 1
    if _passes[name] == _plan[name]:
        _die(name)


def _die(name: str) -> None:
    if _ledger is not None:
        line = {"time": time.time(), "service": _service, "pid": os.getpid(), "point": name, "pass": _passes[name]}
        descriptor = os.open(_ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    os.kill(os.getpid(), signal.SIGKILL)
