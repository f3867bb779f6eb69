"""The durable marker of a cancelled revision: every stage looks for it before it starts and before it publishes."""

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.logs import log
from imagetron_contracts.spec import cancelled_key
from imagetron_contracts.stages import FamilyMessage


async def is_cancelled(message: FamilyMessage, work: Blobs) -> bool:
    """Whether the job of this message was cancelled; its work is then dropped, and a log line says so."""
    marker = await work.head(cancelled_key(message.job_id, message.revision))
    if marker is not None:
        log().info("cancelled_work_dropped", family=message.family, revision=message.revision)
    return marker is not None
