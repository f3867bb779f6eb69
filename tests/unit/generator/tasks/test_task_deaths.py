"""A worker dies at any call that it makes of the world around it, before or after the call has happened.

Whatever was in its hands is delivered again to the next one: the family has one end, and no task is paid for three times.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_contracts.stages import RendersGenerated
from imagetron_generator.domain.orders import TaskRules
from imagetron_generator.domain.provider_tasks import TaskState
from imagetron_generator.usecases.tasks.desk import TaskDesk
from unit.generator.tasks.task_bench import CALLED_BACK, FINDS, FOUR_AT_ONCE, PROVIDER, TaskBench

NEVER = 10**9


class Died(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


@dataclass
class Fate:
    """Dies at its n-th call. A dead process makes no more calls."""

    at_call: int
    after_it: bool
    calls: int = 0

    async def meets(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.calls += 1
        if self.calls > self.at_call or (self.calls == self.at_call and not self.after_it):
            raise Died
        answer = await call()
        if self.calls >= self.at_call:
            raise Died
        return answer


class Mortal:
    """Somebody else, as a process sees him that will die."""

    def __init__(self, other: Any, fate: Fate) -> None:
        self._other, self._fate = other, fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._other, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            return await self._fate.meets(lambda: found(*arguments, **named))

        return call


def mortal(desk: TaskDesk, fate: Fate) -> TaskDesk:
    async def announce(message: Any) -> None:
        await fate.meets(lambda: desk.announce(message))

    return replace(
        desk,
        providers={name: Mortal(provider, fate) for name, provider in desk.providers.items()},
        tasks=Mortal(desk.tasks, fate),
        work=Mortal(desk.work, fate),
        announce=announce,
    )


class Story:
    """One family from its request to its end, told by workers that die one after the other."""

    def __init__(self, bench: TaskBench, fates: list[Fate]) -> None:
        self.bench = bench
        self._fates = iter(fates)
        self._called_back: set[str] = set()
        self.deaths = 0
        self._begin()

    def _begin(self) -> None:
        fate = next(self._fates, Fate(NEVER, after_it=False))
        self.fate = fate
        self.bench.worker = mortal(self.bench.desk(f"worker-{self.deaths}"), fate)

    async def until_done(self, step: Callable[[], Awaitable[object]]) -> None:
        """A message comes again until somebody has answered it."""
        while True:
            try:
                await step()
            except Died:
                self.deaths += 1
                self._begin()
                self.bench.passes(1)
            else:
                return

    async def sweeps(self, seconds: float) -> None:
        until = self.bench.seconds + seconds
        while self.bench.seconds < until:
            await self._provider_calls_back()
            self.bench.passes(3)
            try:
                await self.bench.sweep()
            except Died:
                self.deaths += 1
                self._begin()

    async def told(self) -> None:
        await self.bench.has_spec()
        await self.until_done(lambda: self.bench.ask(0, 1))
        await self.sweeps(30)
        if any(not task.state.is_ended for task in await self.bench.all_tasks()):
            await self.sweeps(700)

    async def _provider_calls_back(self) -> None:
        """Once about each task, as soon as it has it."""
        new = [task for task in self.bench.provider.tasks if task not in self._called_back]
        for task_id in new if self.bench.rules.calls_back else []:
            self._called_back.add(task_id)
            (task,) = await self.bench.all_tasks()
            for body in (self.bench.provider.process(task_id, 0.4), self.bench.provider.finish(task_id)):
                callback = partial(self.bench.calls_back, body, signed=False, reference=task.reference)
                await self.until_done(partial(callback, inbox_id=f"inbox-{task_id}-{len(body)}"))


KINDS = {
    "asked": (FOUR_AT_ONCE, 2),
    "asked and can find": (FINDS, 2),
    "calls back": (CALLED_BACK, None),
    "calls back and can find": (replace(CALLED_BACK, can_find=True), None),
}


async def story_of(rules: TaskRules, looks: int | None, *fates: Fate) -> Story:
    story = Story(TaskBench(rules=rules, looks=looks), list(fates))
    await story.told()
    return story


@pytest.mark.parametrize(("rules", "looks"), KINDS.values(), ids=KINDS)
async def test_one_death_anywhere_costs_at_most_one_more_submission_and_never_the_family(rules, looks):
    calls = (await story_of(rules, looks)).fate.calls
    assert calls > 20

    paid_twice = 0
    for at_call in range(1, calls + 1):
        for after_it in (False, True):
            story = await story_of(rules, looks, Fate(at_call, after_it))
            submissions = len(story.bench.provider.submissions)
            ends = list(story.bench.results().values())

            assert story.deaths == 1
            assert [type(end) for end in ends] == [RendersGenerated], (at_call, after_it)
            assert submissions <= (1 if rules.can_find else 2), (at_call, after_it)
            assert {task.state for task in await story.bench.all_tasks()} == {TaskState.COLLECTED}
            paid_twice += submissions - 1
    # The provider that answers later and cannot find: its answer was on the way when the worker died.
    assert paid_twice == (0 if rules.can_find or rules.calls_back else 2)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    deaths=st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=2, max_size=5),
)
async def test_however_many_die_no_task_is_paid_for_three_times_and_the_family_has_one_end(kind, deaths):
    rules, looks = KINDS[kind]

    story = await story_of(rules, looks, *(Fate(at_call, after_it) for at_call, after_it in deaths))

    assert len(story.bench.results()) == 1
    assert all(task.submissions <= 2 for task in await story.bench.all_tasks())
    assert len(story.bench.provider.submissions) <= 2
    assert PROVIDER in story.bench.worker.providers
