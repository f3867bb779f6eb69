"""Inbound: the deriver's two queues, and the fact that tells a job's owner when a message is given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.delivery import GivenUp, Subscription
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import Stage
from imagetron_contracts.message import Message
from imagetron_contracts.stages import StageFailed
from imagetron_contracts.topology import DERIVER_RENDERS, DERIVER_REQUESTS
from imagetron_deriver.ports import Cutter
from imagetron_deriver.usecases import Renders, derive_family


@dataclass(frozen=True, slots=True)
class Dependencies:
    work: Blobs
    cutter: Cutter
    processes: int


def subscriptions(deps: Dependencies) -> list[Subscription]:
    async def on_renders(envelope: Envelope) -> Sequence[Message]:
        renders = cast("Renders", envelope.data)
        fact = await derive_family(renders, tries=envelope.try_count, work=deps.work, cutter=deps.cutter)
        return [fact] if fact else []

    # More than one at a time is safe here: a render that kills whoever decodes it kills a child process, not this one.
    return [
        Subscription(queue, on_renders, failure=given_up, concurrency=deps.processes)
        for queue in (DERIVER_RENDERS, DERIVER_REQUESTS)
    ]


def given_up(message: Message, why: GivenUp) -> Sequence[Message]:
    renders = cast("Renders", message)
    return [
        StageFailed.of(
            renders,
            stage=Stage.DERIVING,
            code=why.code,
            message=why.message,
            image_indexes=renders.good_indexes(),
            support_id=why.support_id,
        )
    ]
