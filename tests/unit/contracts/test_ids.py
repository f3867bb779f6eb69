"""UUIDv7 for jobs, deterministic ids for messages."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from imagetron_contracts.ids import JobId, event_id, new_job_id, stage_message_id

MILLISECONDS = st.integers(min_value=0, max_value=(1 << 48) - 1)
NOISE = st.integers(min_value=0, max_value=(1 << 74) - 1)
JOB = "01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e41"


@given(now=MILLISECONDS, noise=NOISE)
def test_a_job_id_has_version_7_and_the_variant_of_rfc_9562(now, noise):
    identifier = uuid.UUID(new_job_id(now, noise))

    assert identifier.version == 7
    assert identifier.variant == uuid.RFC_4122


@given(now=MILLISECONDS, noise=NOISE)
def test_a_job_id_holds_its_time_and_all_its_random_bits(now, noise):
    value = uuid.UUID(new_job_id(now, noise)).int

    assert value >> 80 == now
    assert (value >> 64 & 0xFFF) << 62 | value & ((1 << 62) - 1) == noise


def test_the_example_of_rfc_9562_comes_out():
    assert new_job_id(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(earlier=MILLISECONDS, later=MILLISECONDS, noises=st.tuples(NOISE, NOISE))
def test_job_ids_sort_as_text_by_their_time(earlier, later, noises):
    earlier, later = sorted((earlier, later))

    if earlier < later:
        assert new_job_id(earlier, noises[0]) < new_job_id(later, noises[1])


def test_two_jobs_of_one_millisecond_have_different_ids():
    assert len({new_job_id(1_700_000_000_000) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    "text",
    [
        JOB.upper(),
        JOB.replace("-", ""),
        f"{JOB}\n",
        f" {JOB}",
        "imgjob_" + JOB.replace("-", ""),
        "",
        "../../etc/passwd",
    ],
)
def test_only_a_lower_case_uuid_in_text_is_a_job_id(text):
    adapter = TypeAdapter(JobId)

    assert adapter.validate_python(JOB) == JOB
    with pytest.raises(ValidationError):
        adapter.validate_python(text)


def test_the_same_work_gives_the_same_message_id_for_ever():
    assert stage_message_id(JOB, 1, "square", 1, "FAMILY_REQUESTED", "0.1") == "8dfabb57-8cf5-5b6a-a06d-b20bb6ddb0f3"
    assert event_id(JOB, 1) == "feeff302-aab4-5b88-859a-f59d8c0a4768"


def test_other_work_gives_another_message_id():
    work: list[tuple[Any, ...]] = [
        (JOB, 1, "square", 1, "FAMILY_REQUESTED", "0.1"),
        (JOB.replace("0", "1"), 1, "square", 1, "FAMILY_REQUESTED", "0.1"),
        (JOB, 2, "square", 1, "FAMILY_REQUESTED", "0.1"),
        (JOB, 1, "hero", 1, "FAMILY_REQUESTED", "0.1"),
        (JOB, 1, "square", 2, "FAMILY_REQUESTED", "0.1"),
        (JOB, 1, "square", 1, "FAMILY_STARTED", "0.1"),
        (JOB, 1, "square", 1, "FAMILY_REQUESTED", "0"),
        (JOB, 1, "square", 1, "FAMILY_REQUESTED"),
        (JOB, 11, "square", 1, "FAMILY_REQUESTED", "0.1"),
    ]

    assert len({stage_message_id(*arguments) for arguments in work}) == len(work)


def test_every_event_of_every_job_has_its_own_id():
    ids = {event_id(job, sequence) for job in (JOB, JOB.replace("0", "1")) for sequence in range(1, 50)}

    assert len(ids) == 98
