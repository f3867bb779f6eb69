"""A bench with the generator's use cases on twins."""

from dataclasses import dataclass, field
from typing import TypeVar

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Message
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, cancelled_key, spec_key
from imagetron_contracts.stages import FamilyRequested, Lane
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.render_family import render_family

JOB = "01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e41"
PROMPT = "CANARY-in-the-prompt at dawn"
NEGATIVE_PROMPT = "CANARY-in-the-negative-prompt"

M = TypeVar("M", bound=Message)


def a_request(*indexes: int, **changes: object) -> FamilyRequested:
    values = {
        "job_id": JOB,
        "revision": 1,
        "family": "square",
        "attempt": 1,
        "lane": Lane.INTERACTIVE,
        "spec_key": spec_key(JOB, 1),
        "image_indexes": indexes or (0,),
        "budget_seconds": 60,
    }
    return FamilyRequested.model_validate({**values, **changes})


def a_spec(**changes: object) -> RenderSpec:
    size = Dimensions(width=8, height=6)
    values = {
        "job_id": JOB,
        "revision": 1,
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE_PROMPT,
        "model": "photorealistic",
        "served_by": "preview",
        "steps": 3,
        "guidance_scale": 7.5,
        "families": {
            "square": FamilySpec(render=size, seeds=(11, 22, 33), files=(FileSpec(name="square", size=size),))
        },
    }
    return RenderSpec.model_validate({**values, **changes})


@dataclass
class Bench:
    """`seconds` is what the timer shows; it moves by hand."""

    model: InMemoryImageModel = field(default_factory=InMemoryImageModel)
    work: InMemoryBlobs = field(default_factory=InMemoryBlobs)
    calls: ModelCalls = field(default_factory=ModelCalls)
    clock: FakeClock = field(default_factory=FakeClock)
    seconds: float = 0.0
    said: list[Message] = field(default_factory=list)
    announce_errors: list[ChassisError] = field(default_factory=list)

    async def announce(self, message: Message) -> None:
        if self.announce_errors:
            raise self.announce_errors.pop(0)
        self.said.append(message)

    def timer(self) -> float:
        return self.seconds

    async def has_spec(self, text: bytes | None = None) -> None:
        data = text or a_spec().model_dump_json(by_alias=True).encode()
        await self.work.put_if_absent(spec_key(JOB, 1), data, content_type="application/json")

    async def is_cancelled(self) -> None:
        await self.work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")

    async def render(self, request: FamilyRequested, *, tries: int = 1) -> list[Message]:
        return await render_family(
            request,
            tries=tries,
            work=self.work,
            model=self.model,
            announce=self.announce,
            calls=self.calls,
            clock=self.clock,
            timer=self.timer,
        )

    def heard(self, kind: type[M]) -> list[M]:
        return [message for message in self.said if isinstance(message, kind)]
