"""A planned death comes at the planned pass, leaves a line behind, and cannot be planned in production."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagetron_chassis.faults import FAULT_POINTS, arm, fault_point
from imagetron_chassis.settings import BaseServiceSettings, WrongConfiguration, load

_SOURCES = Path(__file__).parents[3]


def test_a_process_dies_by_sigkill_at_the_planned_pass_and_the_ledger_says_where(tmp_path):
    ledger = tmp_path / "deaths.jsonl"
    program = (
        "import sys; from pathlib import Path; from imagetron_chassis.faults import arm, fault_point\n"
        "arm('relay', 'relay.after_confirm=2', Path(sys.argv[1]))\n"
        "for n in (1, 2, 3):\n    print(n, flush=True)\n    fault_point('relay.after_confirm')\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(ledger)], capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL
    assert died.stdout.split() == ["1", "2"]
    line = json.loads(ledger.read_text())
    assert (line["service"], line["point"], line["pass"]) == ("relay", "relay.after_confirm", 2)


def test_without_a_plan_every_point_is_passed():
    for point in FAULT_POINTS:
        fault_point(point)


def test_a_plan_with_an_unknown_point_is_refused():
    with pytest.raises(ValueError, match=r"no such fault point: relay\.typo"):
        arm("relay", "relay.typo=1", None)


def test_a_plan_in_production_is_refused():
    given = {
        "AMQP_URL": "amqp://localhost",
        "STORAGE_PATH": "objects",
        "FAULT_PLAN": "delivery.received=1",
        "ENVIRONMENT": "production",
    }
    with pytest.raises(WrongConfiguration, match="FAULT_PLAN: is refused in production"):
        load(BaseServiceSettings, "gateway", given)


def test_every_named_point_is_in_the_code_once():
    sources = [*_SOURCES.glob("libs/*/src/**/*.py"), *_SOURCES.glob("services/*/src/**/*.py")]
    text = "\n".join(path.read_text() for path in sources)
    assert {point: text.count(f'fault_point("{point}")') for point in FAULT_POINTS} == dict.fromkeys(FAULT_POINTS, 1)
