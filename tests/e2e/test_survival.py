"""Killing a service in the middle of a job delays the job, and nothing else."""

import httpx
import pytest

from e2e.calls import ALL_FAMILIES, a_request, ended, read, submit
from support.eventually import eventually_sync
from support.stack import RunningStack

# Where each service has work in hand: the family status during which it is killed.
BUSY = {
    "gateway": {"admitted", "generating"},
    "generator": {"generating"},
    "deriver": {"deriving"},
    "publisher": {"deriving", "publishing"},
    "prompt": {"generating"},
}


@pytest.mark.parametrize("service", BUSY)
def test_a_job_completes_although_a_service_was_killed_and_started_again(stack: RunningStack, service):
    variation_id = submit(stack.url, a_request(f"survives-{service}", families=ALL_FAMILIES))

    def is_busy() -> bool:
        families = read(stack.url, variation_id)["families"].values()
        return any(family["status"] in BUSY[service] for family in families)

    eventually_sync(is_busy, every_seconds=0.01, within_seconds=20)
    stack.kill(service)
    stack.start(service)

    finished = ended(stack.url, variation_id, within_seconds=90)
    assert finished["status"] == "complete"
    assert len(finished["derivatives"]) == 17
    assert all(httpx.head(picture["url"]).status_code == 200 for picture in finished["derivatives"])
