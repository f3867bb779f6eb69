"""What operators ask for while jobs go on changing, and over more jobs than one page holds."""

from datetime import timedelta

from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.principals import Principal, system
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.audit import DocumentAudit
from imagetron_gateway.adapters.controls import DocumentControls
from imagetron_gateway.adapters.job_views import DocumentJobViews
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.job import Job
from imagetron_gateway.ports import Pause
from imagetron_gateway.usecases.auditing import IDS_IN_A_LINE, Auditor
from imagetron_gateway.usecases.gates import Gates
from imagetron_gateway.usecases.operating_jobs import Round, clear_failed, retry_many
from imagetron_gateway.usecases.operating_lanes import why_paused
from support.builders import NOW, a_job_id, an_admitted_job, family_published, stage_failed, url_of

OPERATOR = system("operator")


class ForgetfulJobs(DocumentJobs):
    """A job is read once; then somebody else has removed it."""

    async def get(self, job_id: str, principal: Principal) -> Job | None:
        job = await super().get(job_id, principal)
        if job is not None:
            await DocumentJobViews(self._documents).remove(job, principal)
        return job


class ContendedViews(DocumentJobViews):
    """Whatever is to be removed has just changed."""

    async def remove(self, job: Job, principal: Principal) -> bool:
        await DocumentJobs(self._documents).replace(
            job.model_copy(update={"version": job.version + 1}), principal, if_version=job.version
        )
        return await super().remove(job, principal)


class Desk:
    def __init__(self) -> None:
        self.documents = InMemoryDocuments()
        self.clock = FakeClock(NOW)
        self.audit = DocumentAudit(self.documents)
        self.auditor = Auditor(self.audit, clock=self.clock, new_id=self._new_id)
        self._ids = 10_000

    def _new_id(self) -> str:
        self._ids += 1
        return a_job_id(self._ids)

    async def failed(self, number: int, *, shows_pictures: bool = False) -> Job:
        job = an_admitted_job("square", id=a_job_id(number), name=f"job-{number}")
        shown = saga.apply(job, family_published(job), NOW, url_of)
        decision = saga.apply(job, stage_failed(job), NOW, url_of)
        assert shown
        assert decision
        ended = decision.job.model_copy(
            update={
                "finished_at": NOW + timedelta(seconds=number),
                "published": shown.job.published if shows_pictures else {},
            }
        )
        await DocumentJobs(self.documents).insert(ended, Principal(ended.owner))
        return ended

    async def clear(self, views: DocumentJobViews | None = None, *, limit: int = 200) -> Round:
        self.clock.advance(3600)
        return await clear_failed(
            timedelta(0),
            OPERATOR,
            limit=limit,
            dry_run=False,
            views=views or DocumentJobViews(self.documents),
            auditor=self.auditor,
            clock=self.clock,
        )

    async def lines(self) -> list[tuple[str, object]]:
        page = await self.audit.page(after=None, limit=10)
        return [(line.what, line.details["count"]) for line in reversed(page.lines)]


async def test_a_failed_job_that_changes_under_the_clearing_stays():
    desk = Desk()
    job = await desk.failed(1)

    cleared = await desk.clear(ContendedViews(desk.documents))

    [act] = cleared.acts
    assert act.refused == "it changed a moment ago"
    assert await DocumentJobs(desk.documents).get(job.id, OPERATOR) is not None
    assert await desk.lines() == [("jobs.clear", 1), ("jobs.cleared", 0)]


async def test_jobs_that_must_stay_do_not_hide_those_behind_them():
    desk = Desk()
    for number in range(120):
        await desk.failed(number, shows_pictures=True)
    gone = [await desk.failed(number) for number in range(120, 125)]

    cleared = await desk.clear()

    assert [act.job_id for act in cleared.acts] == [job.id for job in gone]
    assert cleared.is_all


async def test_one_call_reads_no_more_than_a_thousand_jobs():
    desk = Desk()
    for number in range(1000):
        await desk.failed(number, shows_pictures=True)
    await desk.failed(1000)

    cleared = await desk.clear()

    assert cleared.acts == []
    assert not cleared.is_all


async def test_a_job_that_is_removed_under_its_retry_is_told():
    desk = Desk()
    job = await desk.failed(1)

    retried = await retry_many(
        [job.id],
        None,
        OPERATOR,
        limit=10,
        dry_run=False,
        jobs=ForgetfulJobs(desk.documents),
        views=DocumentJobViews(desk.documents),
        auditor=desk.auditor,
        clock=desk.clock,
    )

    assert [act.refused for act in retried.acts] == ["it was removed a moment ago"]
    assert await desk.lines() == [("jobs.retry", 1), ("jobs.retried", 0)]


async def test_a_line_of_the_audit_stays_short_and_its_count_tells_how_many_there_were():
    desk = Desk()
    ids = [a_job_id(number) for number in range(250)]

    await desk.auditor.note(OPERATOR, "jobs.clear", count=len(ids), jobs=ids)

    [line] = (await desk.audit.page(after=None, limit=10)).lines
    assert (line.details["count"], line.details["jobs"]) == (250, ids[:IDS_IN_A_LINE])


async def test_a_paused_lane_is_closed_to_admission_and_says_why():
    controls = DocumentControls(InMemoryDocuments())
    gates = Gates(peak_hours=None, why_paused=lambda lane: why_paused(lane, controls=controls), clock=FakeClock(NOW))
    assert await gates.why_closed(Lane.BATCH) is None

    await controls.pause(Lane.BATCH, Pause("anna", NOW, "a new model"))
    assert await gates.why_closed(Lane.BATCH) == "an operator has paused the lane batch: a new model"
    assert await gates.why_closed(Lane.INTERACTIVE) is None

    await controls.resume(Lane.BATCH)
    await controls.pause(Lane.BATCH, Pause("anna", NOW, ""))
    assert await gates.why_closed(Lane.BATCH) == "an operator has paused the lane batch"
