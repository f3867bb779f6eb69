"""What a job's provider changes in its saga: the queue, the splitting, who made each image, and what is charged."""

from typing import Any

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Serving
from imagetron_contracts.stages import FamilyMessage, FamilyRequested, Pool, RendersGenerated
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.commands import regenerate, retry
from imagetron_gateway.domain.decisions import SPLIT_ABOVE_SECONDS, requests_for
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.domain.prices import Cost
from imagetron_gateway.domain.providers import DELIVERY_OF, Delivery
from imagetron_gateway.domain.replaying import replayed
from support.builders import (
    NOW,
    a_family,
    a_job,
    a_job_id,
    an_admitted_job,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)

FALLBACK = Serving(
    provider="openai",
    model="gpt-image-1",
    steps=1,
    guidance_scale=0,
    sizes={"square": Dimensions(width=1024, height=1024)},
)


def after(job: Job, *messages: FamilyMessage) -> Job:
    for message in messages:
        decision = saga.apply(job, message, NOW, url_of)
        assert decision is not None
        job = decision.job
    return job


def a_priced_job(**fields: Any) -> Job:
    return an_admitted_job(a_family(images=2, price_micros=12_500, fallback_price_micros=42_000), **fields)


def rendered_by(provider: str, served_by: str, job: Job) -> RendersGenerated:
    message = renders_generated(job, indexes=(0, 1))
    facts = {"provider": provider, "served_by": served_by, "seconds": 4.5, "answer_digest": "ab" * 32}
    images = (message.images[0].model_copy(update=facts), message.images[1])
    return message.model_copy(update={"images": images})


@pytest.mark.parametrize(
    ("provider", "pool"), [("triton", None), ("openai", Pool.EXTERNAL), ("callback", Pool.EXTERNAL)]
)
def test_work_for_other_peoples_servers_goes_to_a_queue_of_its_own(provider, pool):
    [request] = requests_for(a_job(provider=provider), "square")

    assert request.pool is pool
    assert request.routing_key() == ("family.requested.external" if pool else "family.requested.interactive")


@pytest.mark.parametrize(("provider", "requests"), [("triton", 3), ("openai", 3), ("callback", 1), ("polled", 1)])
def test_a_long_family_is_split_only_where_a_worker_is_held_meanwhile(provider, requests):
    long = a_family(images=3, budget_seconds=SPLIT_ABOVE_SECONDS + 1)

    asked = requests_for(a_job(long, provider=provider), "square")

    assert len(asked) == requests
    assert sorted(index for request in asked for index in request.image_indexes) == [0, 1, 2]


def test_a_provider_that_the_code_no_longer_knows_holds_no_worker():
    assert a_job(provider="closed down").delivery is Delivery.POLLED
    assert a_job().delivery is DELIVERY_OF["triton"]


def test_who_made_an_image_where_it_lies_and_how_long_it_took_is_kept():
    job = an_admitted_job(a_family(images=2))

    made, other = after(job, rendered_by("openai", "gpt-image-1", job)).families["square"].images

    assert made.render is not None
    assert other.render is not None
    assert (made.render.provider, made.render.served_by, made.render.seconds) == ("openai", "gpt-image-1", 4.5)
    assert made.render.key.endswith("/square/1/0/render")
    assert made.render.answer_digest == "ab" * 32
    assert other.render.served_by is None


def test_an_image_is_charged_when_it_is_published_at_the_price_of_who_made_it():
    job = a_priced_job(fallback=FALLBACK)

    ended = after(job, rendered_by("openai", "gpt-image-1", job), family_published(job, indexes=(0, 1)))

    assert ended.cost.actual_micros == 42_000 + 12_500
    assert [line.detail for line in ended.history if line.what == "failed_over"] == ["gpt-image-1"]


def test_without_a_fallback_nobody_stood_in_whatever_the_message_says():
    job = a_priced_job()

    ended = after(job, rendered_by("openai", "gpt-image-1", job), family_published(job, indexes=(0, 1)))

    assert ended.cost.actual_micros == 2 * 12_500
    assert "failed_over" not in [line.what for line in ended.history]


def test_a_failed_image_is_not_charged_and_its_retry_is():
    job = a_priced_job()

    partial = after(job, family_published(job, indexes=(0,)), stage_failed(job, indexes=(1,)))
    assert (partial.status, partial.cost.actual_micros) == (JobStatus.PARTIAL, 12_500)

    again = saga.admit(retry(partial, NOW).job, "square", NOW)
    assert again is not None
    done = after(again.job, family_published(again.job, indexes=(1,), attempt=2))
    assert (done.status, done.cost.actual_micros) == (JobStatus.COMPLETED, 25_000)


def test_a_new_revision_is_estimated_on_top_of_what_was_charged_and_keeps_its_prices():
    job = a_priced_job().model_copy(update={"cost": Cost(estimated_micros=25_000)})
    ended = after(job, family_published(job, indexes=(0, 1)))

    fresh = regenerate(ended, NOW).job

    assert (fresh.cost.estimated_micros, fresh.cost.actual_micros) == (50_000, 25_000)
    assert fresh.families["square"].price_micros == 12_500
    assert fresh.families["square"].images[0].render is None


def test_a_replay_has_its_originals_provider_source_and_prices_and_no_charges():
    original = a_priced_job(provider="openai", fallback=FALLBACK)
    ended = after(original, family_published(original, indexes=(0, 1)))

    copy = replayed(ended, NOW, job_id=a_job_id(5), owner="local")

    assert (copy.provider, copy.fallback, copy.cost.estimated_micros) == ("openai", FALLBACK, 25_000)
    assert copy.cost.actual_micros == 0


def test_a_job_that_failed_over_at_once_says_so_in_its_history():
    job = saga.created(a_job(), NOW, failed_over_to="gpt-image").job

    assert [(line.what, line.detail) for line in job.history][-1] == ("failed_over", "gpt-image")


def test_a_request_that_names_no_pool_is_the_gpus():
    assert FamilyRequested.model_fields["pool"].default is None
