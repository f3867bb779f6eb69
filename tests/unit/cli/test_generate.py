import asyncio
import io
import json

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from imagetron_cli.__main__ import app
from imagetron_cli.api import Generation, Order
from imagetron_cli.commands.generate import Outcome, carry_out, name_from, output_from
from imagetron_contracts import ImageFormat
from imagetron_contracts.spec import Placement, Profile
from unit.cli.answers import PROBLEM, a_gateway, a_picture, a_variation

ORDER = Order(name="beach", category="general", families=("square",), generation=Generation(prompt="a beach"))


async def outcome(
    transport: httpx.AsyncBaseTransport, *, out=None, console: Console | None = None, order: Order = ORDER
) -> Outcome:
    return await carry_out(
        order,
        url="http://gateway",
        out=out,
        console=console or Console(file=io.StringIO()),
        poll_seconds=0,
        transport=transport,
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("complete", Outcome.COMPLETE),
        ("partial", Outcome.PARTIAL),
        ("failed", Outcome.FAILED),
        ("cancelled", Outcome.FAILED),
    ],
)
async def test_the_exit_status_says_how_the_variation_ended(status, expected):
    transport, _ = a_gateway([a_variation("pending"), a_variation("processing", square=0.5), a_variation(status)])

    assert await outcome(transport) is expected


async def test_a_refusal_is_bad_input_and_names_each_field():
    printed = io.StringIO()
    refusing = httpx.MockTransport(lambda _: httpx.Response(422, json=PROBLEM))

    assert await outcome(refusing, console=Console(file=printed)) is Outcome.BAD_INPUT

    assert "/families/0: unknown family 'round'" in printed.getvalue()
    assert str(PROBLEM["trace_id"]) in printed.getvalue()


def refused(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


@pytest.mark.parametrize(
    "answer",
    [
        refused,
        lambda _: httpx.Response(503, json={**PROBLEM, "status": 503}),
        lambda _: httpx.Response(200, text="<html>another program</html>"),
    ],
    ids=["nobody there", "not now", "somebody else"],
)
async def test_no_gateway_to_work_with_has_a_status_of_its_own(answer):
    assert await outcome(httpx.MockTransport(answer)) is Outcome.UNREACHABLE


async def test_a_gateway_that_is_away_for_a_moment_does_not_end_the_wait():
    answers = iter([502, 200])
    transport, _ = a_gateway([a_variation("complete")])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and next(answers) == 502:
            return httpx.Response(502)
        return transport.handler(request)  # type: ignore[return-value]

    assert await outcome(httpx.MockTransport(answer)) is Outcome.COMPLETE


async def test_pictures_are_saved_by_variation_family_and_name(tmp_path):
    pictures = [a_picture(), a_picture(name="og-image"), a_picture(name="og-image", image=1)]
    transport, _ = a_gateway([a_variation("complete", pictures)])

    await outcome(transport, out=tmp_path)

    saved = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.webp"))
    assert saved == ["beach/square/og-image-1.webp", "beach/square/og-image.webp", "beach/square/square.webp"]


async def test_a_name_from_the_network_cannot_leave_the_folder(tmp_path):
    picture = {**a_picture(), "family": "../..", "name": "../../etc/passwd"}
    transport, _ = a_gateway([a_variation("complete", [picture])])

    await outcome(transport, out=tmp_path / "out")

    assert [path.parts[-1] for path in tmp_path.rglob("*.webp")] == ["_.._etc_passwd.webp"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


async def test_what_was_not_asked_for_is_left_to_the_gateway():
    transport, bodies = a_gateway([a_variation("complete")])

    await outcome(transport)

    [body] = bodies
    assert body["generation"] == {"prompt": "a beach"}
    assert body == {
        "name": "beach",
        "category": "general",
        "families": ["square"],
        "generation": {"prompt": "a beach"},
        "isDxJob": False,
    }


async def test_what_was_asked_of_the_files_is_told_to_the_gateway():
    transport, bodies = a_gateway([a_variation("complete")])
    asked = output_from(
        [ImageFormat.AVIF, ImageFormat.WEBP], Profile.FAST, "(c) 2026", Placement.TILED, embeds_prompt=True
    )

    await outcome(transport, order=ORDER.model_copy(update={"output": asked}))

    assert bodies[0]["output"] == {
        "formats": ["avif", "webp"],
        "profile": "fast",
        "watermark": {"text": "(c) 2026", "placement": "tiled"},
        "embedPrompt": True,
    }


async def test_of_the_files_too_only_what_was_asked_is_told():
    transport, bodies = a_gateway([a_variation("complete")])
    asked = output_from(None, None, "(c) 2026", None, embeds_prompt=False)

    await outcome(transport, order=ORDER.model_copy(update={"output": asked}))

    assert bodies[0]["output"] == {"watermark": {"text": "(c) 2026"}}
    assert output_from(None, None, None, None, embeds_prompt=False) is None


async def test_one_picture_in_several_formats_is_saved_in_all_of_them(tmp_path):
    pictures = [a_picture(format="avif"), a_picture(format="webp")]
    transport, _ = a_gateway([a_variation("complete", pictures)])

    await outcome(transport, out=tmp_path)

    assert sorted(path.name for path in tmp_path.rglob("square.*")) == ["square.avif", "square.webp"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--format", "gif"], "--format"),
        (["--profile", "slow"], "--profile"),
        (["--watermark", "mine", "--placement", "middle"], "--placement"),
        (["--placement", "centre"], "--watermark"),
    ],
    ids=str,
)
def test_options_of_the_files_that_nobody_knows_are_bad_input_before_anything_is_submitted(options, named, tmp_path):
    answer = CliRunner().invoke(app, ["generate", "a beach", "--out", str(tmp_path / "out"), *options])

    assert answer.exit_code == Outcome.BAD_INPUT
    assert named in answer.output
    assert not (tmp_path / "out").exists()


async def test_for_machines_there_is_one_json_object_and_nothing_else(capsys, tmp_path):
    transport, _ = a_gateway([a_variation("complete", [a_picture()], square=1)])

    await outcome(transport, out=tmp_path, console=Console(quiet=True))

    said = json.loads(capsys.readouterr().out)
    assert said["status"] == "complete"
    assert said["files"] == [
        {"family": "square", "name": "square", "image": 0, "path": str(tmp_path / "beach" / "square" / "square.webp")}
    ]


async def test_for_machines_a_refusal_is_json_too(capsys):
    refusing = httpx.MockTransport(lambda _: httpx.Response(422, json=PROBLEM))

    await outcome(refusing, console=Console(quiet=True))

    said = json.loads(capsys.readouterr().out)
    assert said["status"] == "bad_input"
    assert said["problem"]["errors"] == PROBLEM["errors"]


def test_a_name_made_from_a_prompt_is_readable_and_never_the_same():
    first, second = name_from("  A Sunset — über the sea!"), name_from("  A Sunset — über the sea!")

    assert first.startswith("a-sunset-ber-the-sea-")
    assert first != second


def test_a_usage_error_is_bad_input():
    result = CliRunner().invoke(app, ["generate", "a beach", "--seed", "many"])

    assert result.exit_code == Outcome.BAD_INPUT


def test_a_guidance_that_is_no_number_is_bad_input_in_a_sentence(tmp_path):
    answer = CliRunner().invoke(app, ["generate", "a beach", "--guidance", "nan", "--out", str(tmp_path)])

    assert answer.exit_code == Outcome.BAD_INPUT
    assert "Traceback" not in answer.output
    assert "--guidance" in answer.output


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_submitted(tmp_path):
    (tmp_path / "file").write_text("in the way")
    answer = CliRunner().invoke(app, ["generate", "a beach", "--out", str(tmp_path / "file" / "out")])

    assert answer.exit_code == 1
    assert "Pictures cannot be saved" in answer.output
    assert "--out" in answer.output


async def test_without_a_terminal_the_last_bar_and_the_list_are_lines_of_their_own():
    printed = io.StringIO()
    transport, _ = a_gateway([a_variation("complete", [a_picture()], square=1)])

    await outcome(transport, console=Console(file=printed))

    assert "completed\nbeach\n" in printed.getvalue()


async def test_whoever_stops_waiting_is_told_where_the_work_goes_on():
    printed, looked_at = io.StringIO(), asyncio.Event()
    transport, _ = a_gateway([a_variation("processing", square=0.5)])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            looked_at.set()
        return transport.handler(request)  # type: ignore[return-value]

    console = Console(file=printed, width=200)
    waiting = asyncio.create_task(
        carry_out(ORDER, url="http://gateway", out=None, console=console, transport=httpx.MockTransport(answer))
    )
    await looked_at.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert f"http://gateway/api/images/variations/{a_variation()['id']}" in printed.getvalue()
