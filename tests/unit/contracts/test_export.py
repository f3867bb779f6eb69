"""The command that writes and checks what is generated, and the page about events."""

import json
import re
import runpy
import sys

import pytest

from imagetron_contracts import export
from imagetron_contracts.envelope import MESSAGE_TYPES, decode
from imagetron_contracts.events import EVENTS
from imagetron_contracts.events_page import events_page
from imagetron_contracts.export import SCHEMAS, main, rendered_schemas
from imagetron_contracts.failures import FailureCode


def test_what_was_just_written_passes_the_check(tmp_path, capsys):
    arguments = ["--folder", str(tmp_path / "schemas"), "--page", str(tmp_path / "docs/events.md")]

    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    assert capsys.readouterr().out == ""
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == set(rendered_schemas())
    assert (tmp_path / "docs/events.md").read_text(encoding="utf-8") == events_page()


def test_the_check_names_every_file_that_differs_and_writes_nothing(tmp_path, capsys):
    main(["--folder", str(tmp_path)])
    (tmp_path / "envelope.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "forgotten.v1.json").write_text("{}", encoding="utf-8")

    status = main(["--check", "--folder", str(tmp_path), "--page", str(tmp_path / "events.md")])

    assert status == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/envelope.v1.json is out of date",
        f"{tmp_path}/asyncapi.json is missing",
        f"{tmp_path}/events.md is missing",
        f"{tmp_path}/forgotten.v1.json belongs to no message",
    ]
    assert not (tmp_path / "asyncapi.json").exists()


def test_writing_repairs_what_differs_and_removes_what_belongs_to_no_message(tmp_path):
    main(["--folder", str(tmp_path)])
    (tmp_path / "envelope.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "forgotten.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "README.md").write_text("not ours", encoding="utf-8")

    main(["--folder", str(tmp_path)])

    assert main(["--check", "--folder", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").exists()


def test_the_schemas_travel_inside_the_package():
    assert SCHEMAS.parts[-2:] == ("imagetron_contracts", "schemas")


@pytest.mark.parametrize("arguments", [["--check"], []], ids=["check", "write"])
def test_the_module_runs_as_a_program(tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["export", "--folder", str(tmp_path), *arguments])

    with pytest.raises(SystemExit) as end:
        runpy.run_path(export.__file__, run_name="__main__")

    assert end.value.code == (1 if arguments else 0)


def test_what_is_generated_is_the_same_every_time():
    assert rendered_schemas() == rendered_schemas()
    assert events_page() == events_page()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_the_page_has_every_public_event_with_its_key_its_fields_and_its_meaning(event):
    section = events_page().split(f"### {event.TYPE}\n")[1].split("\n### ")[0]

    assert event.ROUTING_KEY in section
    assert event.__doc__ in section
    for name, field in event.model_fields.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `{field.alias}` |"))
        assert row == f"| `{field.alias}` | {row.split(' | ')[1]} | {row.split(' | ')[2]} | {field.description} |", name
        assert field.description, f"{event.TYPE}.{name} has no meaning"


def test_the_examples_on_the_page_are_real_messages():
    bodies = re.findall(r"```json\n(.*?)```", events_page(), flags=re.DOTALL)

    assert [decode(json.dumps(json.loads(body)).encode()).type for body in bodies] == [event.TYPE for event in EVENTS]


def test_the_page_names_every_private_message_too():
    page = events_page()

    assert [message.TYPE for message in MESSAGE_TYPES.values() if message.TYPE not in page] == []
    assert "`generator.family-requested.batch`" in page


def test_the_page_lists_the_words_that_programs_may_switch_on():
    assert ", ".join(f"`{code.value}`" for code in FailureCode) in events_page()


def test_the_page_says_how_kinds_of_values_look():
    page = events_page()

    assert "| `publicUrls` | map of map of string | yes |" in page
    assert "| `images` | list of PublishedImage | no |" in page
    assert "| `time` | date-time | yes |" in page
    assert "| `specversion` | `1.0` | yes |" in page
    assert "| `data` | object | yes |" in page
