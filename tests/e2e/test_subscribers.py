"""Another team's program, written from the contract alone, hears of a variation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.calls import a_request, ended, submit

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.parametrize("program", ["subscriber_with_contracts.py", "subscriber_with_aio_pika.py"])
def test_the_example_subscribers_receive_the_public_events(stack, program):
    environment = {**os.environ, "AMQP_URL": stack.amqp_url, "EVENTS_LIMIT": "3", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, EXAMPLES / program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as subscriber:
        assert subscriber.stderr is not None
        assert "listening" in subscriber.stderr.readline()

        name = program.removesuffix(".py").replace("_", "-")
        variation_id = submit(stack.url, a_request(name, families=["square"]))
        heard, errors = subscriber.communicate(timeout=60)

    assert subscriber.returncode == 0, errors
    ended(stack.url, variation_id)
    lines = [line.split() for line in heard.splitlines()]
    assert [line[0] for line in lines] == ["VARIATION_STARTED", "FAMILY_COMPLETED", "VARIATION_COMPLETED"]
    assert {line[1] for line in lines} == {variation_id}
