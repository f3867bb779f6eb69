import io

from rich.console import Console

from imagetron_cli.api import Variation
from imagetron_cli.following import board
from unit.cli.answers import State, a_variation


def shown(*states: State) -> str:
    console = Console(file=io.StringIO(), width=120, no_color=True)
    console.print(board([Variation.model_validate(state) for state in states]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_family_has_a_line_with_its_share_and_status():
    lines = shown(a_variation("processing", square=1, landscape=0.35)).splitlines()

    assert "beach" in lines[0]
    assert "processing" in lines[0]
    assert "100%" in lines[1]
    assert "completed" in lines[1]
    assert "landscape" in lines[2]
    assert "35%" in lines[2]


def test_a_bar_is_as_long_as_the_progress():
    empty, half, full = (shown(a_variation(square=progress)) for progress in (0, 0.5, 1))

    assert [text.count("━") for text in (empty, half, full)] == [0, 15, 30]


def test_a_failed_family_says_why():
    state = a_variation("partial", square=1)
    error = {"stage": "generating", "code": "out_of_memory", "message": "the model ran out of memory"}
    state["families"]["square"] = {"status": "failed", "progress": 1, "error": error}

    assert "the model ran out of memory" in shown(state)


def test_several_variations_are_shown_one_below_the_other():
    text = shown(a_variation("complete", square=1), {**a_variation("processing", hero=0.1), "name": "lake"})

    assert text.index("beach") < text.index("lake") < text.index("hero")
