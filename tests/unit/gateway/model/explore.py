"""Every state that can be reached, breadth first and without a limit of depth; the shortest way to the first violation."""

from collections import deque
from dataclasses import dataclass

from unit.gateway.model.documents import Violation
from unit.gateway.model.world import State, World


@dataclass(frozen=True, slots=True)
class Exploration:
    """How much was seen."""

    states: int
    transitions: int
    ends: int
    """States in which nothing happens any more by itself."""


def explore(world: World) -> Exploration:
    """Follow every transition from every state. Raises Violation with the steps that lead to it."""
    first = world.first()
    came_from: dict[State, State | None] = {first: None}
    waiting = deque([first])
    transitions = ends = 0
    while waiting:
        state = waiting.popleft()
        try:
            world.check(state)
            steps, faults = world.successors(state)
            if not steps:
                ends += 1
                world.check_at_rest(state)
        except Violation as violation:
            way = "\n".join(_way_to(world, state, came_from))
            raise Violation(f"{violation}\nafter:\n{way}") from None
        transitions += len(steps) + len(faults)
        for _, following in steps + faults:
            if following not in came_from:
                came_from[following] = state
                waiting.append(following)
    return Exploration(len(came_from), transitions, ends)


def _way_to(world: World, state: State, came_from: dict[State, State | None]) -> list[str]:
    labels: list[str] = []
    before = came_from[state]
    while before is not None:
        steps, faults = world.successors(before)
        labels.append(next(label for label, following in steps + faults if following == state))
        state, before = before, came_from[before]
    return [f"  {number}. {label}" for number, label in enumerate(reversed(labels), start=1)]
