import asyncio

from imagetron_chassis.errors import Transient
from imagetron_contracts.stages import Progress
from imagetron_generator.usecases.progress import progress_reports
from support.eventually import eventually
from unit.generator.bench import Bench, a_request


async def test_a_fast_model_is_heard_of_five_times_a_second_and_at_its_end():
    bench = Bench()

    async with progress_reports(a_request(), 0, announce=bench.announce, timer=bench.timer) as on_step:
        for step in range(1, 51):
            bench.seconds += 1 / 64
            on_step(step, 50)

    assert [report.step for report in bench.heard(Progress)] == [1, 14, 27, 40, 50]


async def test_steps_are_told_while_the_model_works():
    bench = Bench()

    async with progress_reports(a_request(), 0, announce=bench.announce, timer=bench.timer) as on_step:
        on_step(1, 50)
        await eventually(lambda: bench.said)


async def test_a_broker_that_does_not_answer_holds_the_picture_up_for_a_second_at_most():
    async def never(_):
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with progress_reports(a_request(), 0, announce=never, timer=Bench().timer) as on_step:
            on_step(1, 1)


async def test_a_report_that_cannot_leave_is_dropped_and_the_next_one_leaves():
    bench = Bench(announce_errors=[Transient("the broker is away")])

    async with progress_reports(a_request(), 0, announce=bench.announce, timer=bench.timer) as on_step:
        on_step(1, 2)
        on_step(2, 2)

    assert [report.step for report in bench.heard(Progress)] == [2]
