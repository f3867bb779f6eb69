"""While calls of our own models are paused, those families alone may begin that need not wait for them."""

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Serving
from imagetron_generator.ports import ModelPaused
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.pausing import check_may_begin
from unit.generator.bench import Bench, a_request, a_spec

FALLBACK = Serving(
    provider="openai",
    model="gpt-image-1",
    steps=1,
    guidance_scale=0,
    sizes={"square": Dimensions(width=8, height=8)},
)


class Gate:
    """A family at the door of a generator whose circuit has been open for so many seconds, or is closed."""

    def __init__(self, *, openings: int = 1) -> None:
        self.bench = Bench()
        self.circuit = Circuit(self.bench.timer, chance=lambda: 0, opened=lambda: None, closed=lambda: None)
        for opening in range(openings):
            if opening == 0:
                for _ in range(10):
                    self.circuit.call_ended(model="sdxl", has_failed=True)
                continue
            self.bench.seconds += 1000
            assert self.circuit.canary_may_go()
            self.circuit.canary_ended(has_failed=True, began_at=self.bench.seconds)

    async def spec(self, **changes: object) -> None:
        await self.bench.has_spec(a_spec(**changes).model_dump_json(by_alias=True).encode())

    async def check(self) -> None:
        await check_may_begin(a_request(), work=self.bench.work, circuit=self.circuit)


@pytest.mark.parametrize(("openings", "seconds"), [(1, 5), (2, 30), (9, 30)])
async def test_a_family_that_allows_no_other_provider_comes_back_about_when_the_circuit_may_be_closed(
    openings, seconds
):
    gate = Gate(openings=openings)
    await gate.spec()

    with pytest.raises(ModelPaused) as caught:
        await gate.check()

    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize("changes", [{"fallback": FALLBACK}, {"provider": "openai"}])
async def test_a_family_that_another_provider_may_make_begins(changes):
    gate = Gate()
    await gate.spec(**changes)

    await gate.check()


async def test_while_the_circuit_is_closed_every_family_begins_and_no_spec_is_read():
    await Gate(openings=0).check()


async def test_what_is_wrong_with_a_spec_is_for_rendering_to_say():
    await (lost := Gate()).check()
    await lost.bench.has_spec(b"{")

    await lost.check()
