"""What hints told this process of late: model health and progress, bounded, in memory. Every replica hears them all."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_contracts.stages import ModelHealth, Progress

# Generators report every 15 s; three missed reports mean that nobody vouches for the model any more.
FRESH: Final = timedelta(seconds=45)
_FAMILIES_KEPT: Final = 2000


class RecentReports:
    """Implements the Reports port."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # With the time at which each was heard: a generator's own clock may be minutes off.
        self._models: dict[str, dict[str, tuple[datetime, ModelHealth]]] = {}
        self._progress: OrderedDict[tuple[str, int, str], dict[int, Progress]] = OrderedDict()

    async def on_model_health(self, report: ModelHealth) -> None:
        reports = self._fresh(report.model)
        overtaken = reports.get(report.reporter)
        if overtaken is None or report.checked_at >= overtaken[1].checked_at:
            reports[report.reporter] = (self._clock.now(), report)
        self._models[report.model] = reports

    async def on_progress(self, progress: Progress) -> None:
        key = (progress.job_id, progress.revision, progress.family)
        images = self._progress.setdefault(key, {})
        known = images.get(progress.index)
        # Hints may overtake each other; a bar that goes back looks broken.
        if known is None or (progress.attempt, progress.step) > (known.attempt, known.step):
            images[progress.index] = progress
        self._progress.move_to_end(key)
        while len(self._progress) > _FAMILIES_KEPT:
            self._progress.popitem(last=False)

    def model(self, provider_model: str) -> ModelHealth | None:
        """One generator that vouches for the model outweighs others that cannot run it."""
        reports = [report for _, report in self._fresh(provider_model).values()]
        return max(reports, key=lambda report: (report.is_available, report.checked_at), default=None)

    def _fresh(self, provider_model: str) -> dict[str, tuple[datetime, ModelHealth]]:
        now, heard = self._clock.now(), self._models.get(provider_model, {})
        return {reporter: (at, report) for reporter, (at, report) in heard.items() if now - at < FRESH}

    def progress(self, job_id: str, revision: int, family: str) -> Sequence[Progress]:
        return list(self._progress.get((job_id, revision, family), {}).values())
