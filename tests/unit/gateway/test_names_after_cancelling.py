"""What a job's names point to once it was cancelled, whatever is still heard of it."""

from imagetron_contracts.failures import FailureCode
from support.builders import a_family, a_job, family_published, renders_generated
from unit.gateway.playing import Play


def test_a_fact_that_comes_late_gives_no_name_to_a_cancelled_revision():
    play = Play(a_job("square", "landscape")).admit()
    play.hear(family_published(play.job, "square"), family_published(play.job, "landscape")).regenerate().admit()
    play.hear(family_published(play.job, "square")).cancel()

    play.hear(renders_generated(play.job, "square"))

    assert play.job.published["square"].revision == 1


def test_the_pictures_of_a_retry_are_found_by_name_though_the_job_was_cancelled_afterwards():
    play = Play(a_job(a_family("square", images=2), "landscape")).admit()
    play.hear(family_published(play.job, "square", bad={1: FailureCode.INTERNAL}))
    play.hear(family_published(play.job, "landscape", indexes=(), bad={0: FailureCode.INTERNAL}))
    play.retry().admit()
    play.hear(family_published(play.job, "square", indexes=(1,), attempt=2))

    play.cancel()

    assert [image.index for image in play.job.published["square"].images] == [0, 1]
