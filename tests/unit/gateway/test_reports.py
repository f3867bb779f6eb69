"""What hints tell is kept for a while, bounded, and never goes back."""

from datetime import timedelta

from imagetron_chassis.testing import FakeClock
from imagetron_contracts.stages import Progress
from imagetron_gateway.adapters.reports import FRESH, RecentReports
from support.builders import NOW, a_job_id, a_model_health


def a_step(step: int, *, index: int = 0, attempt: int = 1, job: int = 1) -> Progress:
    work = {"job_id": a_job_id(job), "revision": 1, "family": "square"}
    return Progress(**work, attempt=attempt, index=index, step=step, steps=30)


def steps(reports: RecentReports, job: int = 1) -> list[int]:
    return [progress.step for progress in reports.progress(a_job_id(job), 1, "square")]


async def test_the_newest_step_of_each_image_is_kept():
    reports = RecentReports(FakeClock())
    for progress in (a_step(3), a_step(7, index=1), a_step(9), a_step(5)):
        await reports.on_progress(progress)

    assert steps(reports) == [9, 7]


async def test_a_new_attempt_begins_anew():
    reports = RecentReports(FakeClock())
    for progress in (a_step(29), a_step(2, attempt=2), a_step(30)):
        await reports.on_progress(progress)

    assert steps(reports) == [2]


async def test_nothing_is_known_of_work_that_nobody_reported():
    assert steps(RecentReports(FakeClock())) == []


async def test_only_the_families_that_were_reported_last_are_kept():
    reports = RecentReports(FakeClock())
    for job in range(2001):
        await reports.on_progress(a_step(1, job=job))
    await reports.on_progress(a_step(2, job=1))
    await reports.on_progress(a_step(1, job=3000))

    assert (steps(reports, 0), steps(reports, 1), steps(reports, 2)) == ([], [2], [])


async def test_a_generator_that_reports_no_more_is_forgotten():
    clock = FakeClock(NOW)
    reports = RecentReports(clock)
    await reports.on_model_health(a_model_health(reporter="gone"))
    clock.advance(FRESH.total_seconds())
    ill = a_model_health(reporter="ill", at=NOW + FRESH, is_available=False)
    await reports.on_model_health(ill)

    assert reports.model("preview") == ill


async def test_the_newest_of_equal_reports_is_the_answer():
    reports = RecentReports(FakeClock(NOW))
    older, newer = (
        a_model_health(reporter=name, at=NOW - timedelta(seconds=age)) for name, age in (("one", 9), ("two", 1))
    )
    await reports.on_model_health(newer)
    await reports.on_model_health(older)

    assert reports.model("preview") == newer
