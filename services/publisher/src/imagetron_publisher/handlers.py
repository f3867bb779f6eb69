"""Inbound: families to publish and objects to discard, and the fact that tells a job's owner when a family is given up."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.delivery import GivenUp, Subscription
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import Stage
from imagetron_contracts.message import Message
from imagetron_contracts.stages import DerivativesRendered, ObjectsDiscarded, StageFailed
from imagetron_contracts.topology import PUBLISHER_DERIVATIVES, PUBLISHER_DISCARDS
from imagetron_publisher.ports import Signer
from imagetron_publisher.usecases import discard_objects, publish_family

# Copying waits on the network, and no picture is decoded: no message can kill the process that holds others.
FAMILIES_AT_ONCE: Final = 4
# A store that trickles must not hold a delivery for long.
DEADLINE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    work: Blobs
    public: Blobs
    signer: Signer
    copies: asyncio.Semaphore


def subscriptions(deps: Dependencies) -> list[Subscription]:
    async def on_derivatives_rendered(envelope: Envelope) -> Sequence[Message]:
        family = cast("DerivativesRendered", envelope.data)
        fact = await publish_family(
            family,
            tries=envelope.try_count,
            work=deps.work,
            public=deps.public,
            signer=deps.signer,
            copies=deps.copies,
        )
        return [fact] if fact else []

    async def on_objects_discarded(envelope: Envelope) -> Sequence[Message]:
        await discard_objects(cast("ObjectsDiscarded", envelope.data), public=deps.public)
        return []

    return [
        Subscription(
            PUBLISHER_DERIVATIVES,
            on_derivatives_rendered,
            failure=given_up,
            concurrency=FAMILIES_AT_ONCE,
            deadline_seconds=DEADLINE_SECONDS,
        ),
        # Nobody waits for a removal, so it is never given up: while the store is away it comes back every ten minutes.
        Subscription(PUBLISHER_DISCARDS, on_objects_discarded, deadline_seconds=DEADLINE_SECONDS),
    ]


def given_up(message: Message, why: GivenUp) -> Sequence[Message]:
    family = cast("DerivativesRendered", message)
    return [
        StageFailed.of(
            family,
            stage=Stage.PUBLISHING,
            code=why.code,
            message=why.message,
            image_indexes=family.good_indexes(),
            support_id=why.support_id,
        )
    ]
