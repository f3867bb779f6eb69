"""One state machine, several vocabularies: the words that each surface uses for a job's status, in one table."""

from typing import Final

from imagetron_gateway.domain.job import JobStatus

# /api/images/*: the marketing platform's words.
VARIATION_STATUS: Final[dict[JobStatus, str]] = {
    JobStatus.QUEUED: "pending",
    JobStatus.RUNNING: "processing",
    JobStatus.COMPLETED: "complete",
    JobStatus.PARTIAL: "partial",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}
