"""Discarded objects stop being public."""

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.stages import ObjectsDiscarded
from imagetron_publisher.usecases import ForeignObject, discard_objects
from unit.publisher.families import JOB

OTHER_JOB = "01890a5d-ac96-774b-bcce-b302099a8058"


@pytest.fixture
async def public():
    store = InMemoryBlobs()
    for key in (f"{JOB}/a.webp", f"{JOB}/b.webp", f"{OTHER_JOB}/a.webp"):
        await store.put_if_absent(key, b"a picture", content_type="image/webp")
    return store


async def test_discarded_objects_are_gone_and_others_stay(public):
    await discard_objects(ObjectsDiscarded(job_id=JOB, keys=(f"{JOB}/a.webp",)), public=public)

    assert await public.head(f"{JOB}/a.webp") is None
    assert await public.head(f"{JOB}/b.webp") is not None


async def test_discarding_again_changes_nothing(public):
    message = ObjectsDiscarded(job_id=JOB, keys=(f"{JOB}/a.webp", f"{JOB}/never-was.webp"))
    await discard_objects(message, public=public)

    await discard_objects(message, public=public)

    assert await public.head(f"{JOB}/b.webp") is not None


async def test_a_job_cannot_discard_another_jobs_objects_and_then_none_is_removed(public):
    message = ObjectsDiscarded(job_id=JOB, keys=(f"{JOB}/a.webp", f"{OTHER_JOB}/a.webp"))

    with pytest.raises(ForeignObject):
        await discard_objects(message, public=public)

    assert await public.head(f"{JOB}/a.webp") is not None
    assert await public.head(f"{OTHER_JOB}/a.webp") is not None
