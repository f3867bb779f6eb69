"""What a person reads at the end: figures of the history, findings, one line that sums up. Nothing is judged here."""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chaos.checker import Finding, Kind, jobs_of, points_not_hit, repeats
from chaos.ledger import (
    Acknowledged,
    Asked,
    Attempt,
    BrokerBack,
    DeadLetters,
    Delivered,
    Died,
    FamilyBegun,
    Heard,
    History,
    Quiet,
    Ready,
    Run,
    Seen,
    Started,
    Stored,
)

_MOST_FINDINGS = 40


def report(history: History, findings: Sequence[Finding], pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lines, the sum last."""
    yield from _run(history)
    yield from _kills(history, list(pairs))
    yield from _jobs(history)
    yield from _recovery(history)
    if findings:
        yield f"\n{len(findings)} findings" + (
            f", the first {_MOST_FINDINGS}" if len(findings) > _MOST_FINDINGS else ""
        )
        yield from (f"  {each.kind.value:13} {each.job or '-':36} {each.what}" for each in findings[:_MOST_FINDINGS])
    yield "\n" + summary(history, findings)


def summary(history: History, findings: Sequence[Finding]) -> str:
    counted = " ".join(f"{kind.value}={len(jobs_of(kind, findings))}" for kind in (Kind.LOST, Kind.DOUBLED, Kind.STUCK))
    others = len([finding for finding in findings if finding.kind not in {Kind.LOST, Kind.DOUBLED, Kind.STUCK}])
    acknowledged = len({each.job for each in history.of(Acknowledged)})
    return f"{counted}  other findings={others}  kills={kills(history)} jobs={acknowledged}"


def kills(history: History) -> int:
    """SIGKILLs: at fault points, at random, of the broker."""
    deaths = [death for death in history.of(Died) if death.cause in {"planned", "random"}]
    return len(deaths) + len(history.of(BrokerBack))


def _run(history: History) -> Iterator[str]:
    run = history.of(Run)[0]
    last = max((entry.at for kind in (Heard, Seen, Quiet, Died) for entry in history.of(kind)), default=run.at)
    yield f"seed       {run.seed}"
    yield f"commit     {run.commit}"
    yield f"machine    {run.machine}"
    yield f"asked for  {run.kills} kills, {run.jobs} jobs"
    yield f"duration   {last - run.at:.0f} s until all was quiet"


def _kills(history: History, pairs: list[tuple[str, str]]) -> Iterator[str]:
    deaths = history.of(Died)
    planned = Counter((death.service, death.point) for death in deaths if death.cause == "planned")
    random = Counter(death.service for death in deaths if death.cause == "random")
    broker = len(history.of(BrokerBack))
    shares = f"{planned.total()} at fault points, {random.total()} anywhere, {broker} of the broker"
    yield f"\nkills      {kills(history)}: {shares}"
    for service, point in sorted({*pairs, *planned}, key=str):
        yield f"  {service:10} {point:32} {planned[service, point] or 'NOT HIT':>7}"
    for service, times in sorted(random.items()):
        yield f"  {service:10} {'anywhere':32} {times:>7}"
    if missing := points_not_hit(pairs, history):
        yield f"  not hit: {', '.join(f'{service} at {point}' for service, point in missing)}"


def _jobs(history: History) -> Iterator[str]:
    attempts = Counter(attempt.answer for attempt in history.of(Attempt))
    ended = Counter(each.document["status"] for each in history.of(Stored))
    begun = [each.id for each in history.of(FamilyBegun)]
    verbs = Counter(f"{each.verb} {each.answer}" for each in history.of(Asked))
    yield f"\njobs       {len({each.job for each in history.of(Acknowledged)})} acknowledged; {_shown(ended)}"
    yield f"  submissions   {_shown(attempts)}; {sum(each.replayed for each in history.of(Attempt))} answered from before"
    yield f"  asked for     {_shown(verbs) or 'nothing else'}"
    yield f"  events        {len(history.of(Heard))} heard, {repeats(history)} of them again"
    yield f"  order         {_overtaken(history)} events were first heard after a later one of their job"
    again = sum(max(0, each["requestsSent"] - 1) for each in _families(history))
    yield f"  watchdog      {again} families asked for again because nothing was heard of them"
    # One image a family: a repeat is at most one call that was made again, none if the process died before it.
    yield f"  model calls   {len(begun)} begun, {len(begun) - len(set(begun))} of them again"
    letters = ", ".join(f"{each.queue} {each.messages}" for each in history.of(DeadLetters))
    yield f"  dead letters  {letters or 'none'}"


def _recovery(history: History) -> Iterator[str]:
    yield "\nrecovery, in seconds"
    yield _line("a process from start to ready", [each.start_seconds for each in history.of(Ready)])
    services = {started.process: started.service for started in history.of(Started)}
    for service in sorted(set(services.values())):
        ready = [each.death_seconds for each in history.of(Ready) if services[each.process] == service]
        yield _line(f"{service}: death to ready", [each for each in ready if each is not None])
        first = [each.death_seconds for each in history.of(Delivered) if services[each.process] == service]
        if first:
            yield _line(f"{service}: death to next delivery done", first)
    back = history.of(BrokerBack)
    yield _line("broker: death to open port", [each.down_seconds for each in back])
    yield _line("broker port to first message sent", _known(each.publish_seconds for each in back))
    yield _line("broker port to first consumer", _known(each.consume_seconds for each in back))
    yield _line("broker port to all consumers", _known(each.all_consume_seconds for each in back))


def _families(history: History) -> Iterator[dict[str, Any]]:
    for each in history.of(Stored):
        yield from each.document["families"].values()


def _overtaken(history: History) -> int:
    """Allowed after a redelivery, and worth a look when it is often."""
    heard: dict[str, set[int]] = {}
    overtaken = 0
    for event in history.of(Heard):
        before = heard.setdefault(event.job, set())
        overtaken += event.sequence not in before and event.sequence < max(before, default=0)
        before.add(event.sequence)
    return overtaken


def _line(what: str, values: Sequence[float]) -> str:
    if not values:
        return f"  {what:36} none"
    return f"  {what:36} median {statistics.median(values):5.1f}   longest {max(values):5.1f}   of {len(values)}"


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counts.items()))
