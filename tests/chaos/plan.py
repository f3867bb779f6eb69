"""What a run will do, drawn from its seed before it begins: who is killed where, and what clients ask for. No processes.

When a kill happens depends on the machine; which kills there are, and in which order a service gets them, does not.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from imagetron_chassis.faults import FAULT_POINTS

SENT_BACK: Final = "delivery.sent_back_before_ack"
"""Nothing is sent back while all goes well: a service reaches this point when it is asked to stop with work in hand."""

_CONSUMERS: Final = ("gateway", "generator", "deriver", "publisher")
_WHO_HITS: Final = {
    "gateway": ("gateway",),
    "relay": ("gateway",),
    "delivery": _CONSUMERS,
    "generator": ("generator",),
    "deriver": ("deriver",),
    "publisher": ("publisher",),
    # The gateway writes the specs; the others their pictures.
    "blobs": _CONSUMERS,
    # No job of a run passes these: requests about prompts, and outside providers, have tests of their own.
    "prompt": (),
    "task": (),
    "paid_call": (),
}
# About how often a job of one family passes a point: a few more or less only move the kills within the run.
_PASSES_PER_JOB: Final = {
    ("gateway", "delivery"): 4,
    ("gateway", "relay"): 4,
    ("gateway", "blobs"): 1,
    ("deriver", "blobs"): 5,
    ("deriver", "deriver.file_stored"): 4,
    ("publisher", "blobs"): 4,
    ("publisher", "publisher"): 4,
    ("generator", "blobs"): 2,
    ("gateway", "gateway.cancel_before_marker"): 0.05,
    ("gateway", "gateway.before_commit"): 5,
    ("gateway", "gateway.after_commit"): 5,
}
# A share of the run in which nobody kills the broker: a younger quorum queue may not survive it, and at the end the
# clients' last requests should not all be what finds it gone.
_BROKER_FROM, _BROKER_UNTIL = 0.2, 0.85
_SHARE_WITH_GOALS: Final = 0.8
_RANDOM_SHARE: Final = 0.1
_RANDOM_VICTIMS: Final = ("prompt", "prompt", "gateway", "generator", "deriver", "publisher")


@dataclass(frozen=True, slots=True)
class Goal:
    """A process of this service is to die at the n-th pass of this point."""

    service: str
    point: str
    passes: int

    @property
    def fault_plan(self) -> str:
        return f"{self.point}={self.passes}"


@dataclass(frozen=True, slots=True)
class Moment:
    """Somebody is to be killed, wherever it is, when this share of the jobs has ended."""

    share: float
    victim: str


@dataclass(frozen=True, slots=True)
class Order:
    """One job, from its client's view. `cancel_after_seconds` counts from the acknowledgement."""

    number: int
    key: str
    body: dict[str, Any]
    cancel_after_seconds: float | None = None
    regenerate: bool = False
    is_impatient: bool = False
    """It is submitted twice at once, under the one key."""


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    goals: dict[str, tuple[Goal, ...]]
    moments: tuple[Moment, ...]
    orders: tuple[Order, ...]

    @property
    def kills(self) -> int:
        return sum(map(len, self.goals.values())) + len(self.moments)


def reachable(points: Iterable[str] = FAULT_POINTS) -> tuple[tuple[str, str], ...]:
    """Every pair of a service and a point that it passes. Raises KeyError on a point that nobody here knows."""
    return tuple(sorted((service, point) for point in points for service in _WHO_HITS[point.partition(".")[0]]))


def draw(seed: int, *, kills: int, jobs: int) -> Plan:
    """A plan that visits every reachable pair equally often, but for the rest that chance gives to some of them.

    Raises ValueError when the kills do not suffice for that.
    """
    dice = random.Random(seed)
    pairs = list(reachable())
    moments = _moments(dice, kills)
    planned = kills - len(moments)
    if planned < len(pairs):
        raise ValueError(
            f"{kills} kills are too few: {len(pairs)} fault points and {len(moments)} others want one each"
        )
    rounds, rest = divmod(planned, len(pairs))
    visits = [pair for _ in range(rounds) for pair in dice.sample(pairs, len(pairs))] + dice.sample(pairs, rest)
    return Plan(seed, _goals(dice, visits, jobs), moments, tuple(_order(dice, seed, number) for number in range(jobs)))


def more_orders(plan: Plan) -> Iterator[Order]:
    """Further jobs, as many as one likes. Half of them are cancelled: what is still to be hit may want just that."""
    dice = random.Random(f"more than {plan.seed}")
    return (_order(dice, plan.seed, number, cancelled=0.5) for number in count(len(plan.orders)))


def _moments(dice: random.Random, kills: int) -> tuple[Moment, ...]:
    # Each death of the broker stops everything for seconds: a few show what many would.
    broker = max(2, min(50, kills // 25))
    span = (_BROKER_UNTIL - _BROKER_FROM) / broker
    moments = [Moment(_BROKER_FROM + span * (number + dice.uniform(0.1, 0.9)), "rabbitmq") for number in range(broker)]
    for number in range(max(1, round(kills * _RANDOM_SHARE))):
        victim = _RANDOM_VICTIMS[0] if number == 0 else dice.choice(_RANDOM_VICTIMS)
        moments.append(Moment(dice.uniform(0.05, 0.9), victim))
    return tuple(sorted(moments, key=lambda moment: moment.share))


def _goals(dice: random.Random, visits: list[tuple[str, str]], jobs: int) -> dict[str, tuple[Goal, ...]]:
    goals = {}
    for service in _CONSUMERS:
        points = [point for who, point in visits if who == service]
        goals[service] = tuple(
            Goal(service, point, dice.randint(1, _most_passes(service, point, jobs=jobs, goals=len(points))))
            for point in points
        )
    return goals


def _most_passes(service: str, point: str, *, jobs: int, goals: int) -> int:
    """So many that a service's deaths spread over the run, and on the average are over when a fifth of it is left."""
    if point == SENT_BACK:
        return 1
    group = point.partition(".")[0]
    passes = _PASSES_PER_JOB.get((service, point)) or _PASSES_PER_JOB.get((service, group)) or 1
    # Drawn evenly from 1 to this: half of it on the average.
    return max(1, math.floor(2 * _SHARE_WITH_GOALS * jobs * passes / goals))


# Small pictures first: the run is about faults, and two cores should spend their time on those.
_FAMILIES: Final = (
    (("facebook-og",), 60),
    (("square",), 12),
    (("portrait",), 8),
    (("facebook-og", "square"), 12),
    (("facebook-og", "landscape", "portrait"), 6),
    (("hero",), 2),
)
_CANCELLED, _REGENERATED, _IMPATIENT = 0.05, 0.05, 0.1


def _order(dice: random.Random, seed: int, number: int, *, cancelled: float = _CANCELLED) -> Order:
    families = dice.choices([names for names, _ in _FAMILIES], [weight for _, weight in _FAMILIES])[0]
    fate = dice.random()
    return Order(
        number=number,
        key=f"chaos-{seed}-{number}",
        body={
            "name": f"chaos-{seed}-{number}",
            "category": "chaos",
            "families": list(families),
            "generation": {
                "prompt": f"a lighthouse on a rocky coast, number {number}",
                "seed": dice.randrange(2**31),
                "model": "preview",
                "inferenceSteps": dice.randint(1, 6),
            },
            "isDxJob": dice.random() < 0.7,
        },
        cancel_after_seconds=dice.expovariate(1.0) if fate < cancelled else None,
        regenerate=cancelled <= fate < cancelled + _REGENERATED,
        is_impatient=dice.random() < _IMPATIENT,
    )
