"""What a committed change means for the metrics: jobs that ended, families let in, how long families took."""

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_gateway.domain.job import Family, Job

_meter = metrics.get_meter(__name__)
_jobs_finished = _meter.create_counter(*semconv.JOBS_FINISHED)
_families_admitted = _meter.create_counter(*semconv.FAMILIES_ADMITTED)
_family_seconds = _meter.create_histogram(*semconv.FAMILY_SECONDS)


def measure_change(before: Job, after: Job) -> None:
    """Count what this replica has just committed; the sum over all replicas is the truth."""
    if after.status.is_terminal and not before.status.is_terminal:
        _jobs_finished.add(1, {semconv.OUTCOME: after.status.value, semconv.LANE: after.lane.value})
    for name, family in after.families.items():
        _measure_family(before.families[name], family, after)


def _measure_family(before: Family, after: Family, job: Job) -> None:
    if after.admitted_at is not None and before.admitted_at != after.admitted_at:
        _families_admitted.add(1, {semconv.LANE: job.lane.value})
    if after.status.is_terminal and not before.status.is_terminal and after.admitted_at and after.finished_at:
        seconds = (after.finished_at - after.admitted_at).total_seconds()
        _family_seconds.record(seconds, {semconv.OUTCOME: after.status.value})
