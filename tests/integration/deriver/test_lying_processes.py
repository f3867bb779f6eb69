"""What a process that foreign bytes have taken over can say: nothing of it is believed, and another takes its place."""

import json
import sys
from collections.abc import Mapping

import pytest

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_deriver.adapters.processes import CutterCannotStart, PillowProcesses
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.findings import MOST_FACES
from imagetron_deriver.domain.windows import Window
from imagetron_deriver.ports import CutterDied
from integration.deriver.pictures import SIZE, a_render

RENDER = Dimensions(width=SIZE[0], height=SIZE[1])
CUT = Cut(Window(0, 0, *SIZE), Dimensions(width=100, height=100), ImageFormat.WEBP)
EVEN = [1 / 64] * 64
FOUND: Mapping[str, object] = {"detector": "twin 1", "faces": [[0.1, 0.1, 0.2, 0.2]], "columns": EVEN, "rows": EVEN}

# Says what it is told to, whatever is asked, and sends as many bytes behind it as it announces.
LIAR = """
import json, struct, sys
from imagetron_chassis.pictures import frames

says = {"ready": {"ready": True}, "open": {"opened": True}, **json.loads(sys.argv[1])}

def say(answer):
    if isinstance(answer, str):
        sys.stdout.buffer.write(answer.encode("latin-1"))
    else:
        text = json.dumps({"lengths": [], **answer}).encode()
        sys.stdout.buffer.write(struct.pack(">I", len(text)) + text)
        sys.stdout.buffer.write(bytes(min(sum(answer.get("lengths", [])), 1 << 20)))
    sys.stdout.buffer.flush()

say(says["ready"])
while frame := frames.read(sys.stdin.buffer):
    order = frame[0]["do"]
    if order != "close":
        say(says[order])
"""


def a_liar(**says: object) -> PillowProcesses:
    return PillowProcesses(1, command=(sys.executable, "-P", "-c", LIAR, json.dumps(says)))


async def ask(cutter: PillowProcesses) -> object:
    async with cutter.opened(a_render(), RENDER) as opened:
        await opened.look()
        return await opened.cut([CUT])


async def test_a_liar_that_keeps_to_the_rules_is_believed():
    cutter = a_liar(look={"found": FOUND}, cut={"made": True, "lengths": [10]})
    await cutter.start()
    try:
        process_ids = cutter.process_ids

        await ask(cutter)
        await ask(cutter)

        assert cutter.process_ids == process_ids
    finally:
        await cutter.stop()


LIES: Mapping[str, Mapping[str, object]] = {
    "ready when it should open": {"open": {"ready": True}},
    "opened and out of memory": {"open": {"opened": True, "exhausted": True}},
    "nothing": {"open": {}},
    "an essay on why it cannot": {"open": {"unreadable": "a" * 501}},
    "a header that never ends": {"open": "\xff\xff\xff\xff" + "a" * (1 << 16)},
    "a header that is no JSON": {"open": "\0\0\0\x04evil"},
    "a header that is a list": {"open": "\0\0\0\x02[]"},
    "a pickle": {"open": "\0\0\0\x0ccposix\nsystem"},
    "pictures when it should look": {"look": {"made": True, "lengths": [10]}},
    "a face outside": {"look": {"found": {**FOUND, "faces": [[0.5, 0.5, 1.5, 0.9]]}}},
    "a face inside out": {"look": {"found": {**FOUND, "faces": [[0.9, 0.5, 0.5, 0.9]]}}},
    "a face that is no number": {"look": {"found": {**FOUND, "faces": [[float("nan"), 0.5, 0.5, 0.9]]}}},
    "a crowd": {"look": {"found": {**FOUND, "faces": [[0, 0, 1, 1]] * (MOST_FACES + 1)}}},
    "more columns than there are": {"look": {"found": {**FOUND, "columns": EVEN * 2}}},
    "more than there is to see": {"look": {"found": {**FOUND, "rows": [1] * 64}}},
    "an endless name": {"look": {"found": {**FOUND, "detector": "a" * 201}}},
    "found when it should cut": {"cut": {"found": FOUND}},
    "a picture without bytes": {"cut": {"made": True}},
    "bytes without a picture": {"cut": {"lengths": [10]}},
    "more pictures than were ordered": {"cut": {"made": True, "lengths": [10, 10]}},
    "a picture without a byte": {"cut": {"made": True, "lengths": [0]}},
    "a picture of less than nothing": {"cut": {"made": True, "lengths": [-1]}},
    "a picture of two gigabytes": {"cut": {"made": True, "lengths": [2 << 30]}},
    "time that runs backwards": {"cut": {"made": True, "lengths": [10], "seconds": -1}},
    "time without an end": {"cut": {"made": True, "lengths": [10], "seconds": float("inf")}},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_process_that_lies_is_ended_and_replaced(lie):
    honest = {"look": {"found": FOUND}, "cut": {"made": True, "lengths": [10]}}
    cutter = a_liar(**{**honest, **LIES[lie]})
    await cutter.start()
    try:
        (liar,) = cutter.process_ids

        with pytest.raises(CutterDied, match="a render of 336x192"):
            await ask(cutter)

        assert liar not in cutter.process_ids
    finally:
        await cutter.stop()


async def test_a_process_that_says_something_else_than_that_it_is_ready_is_no_process():
    cutter = a_liar(ready={"opened": True})

    with pytest.raises(CutterCannotStart, match="ended before it was ready"):
        await cutter.start()
    await cutter.stop()
