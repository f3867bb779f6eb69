"""What is generated and committed is what the models say."""

from pathlib import Path

from imagetron_contracts.export import main

PAGE = Path(__file__).parents[3] / "docs/events.md"


def test_the_committed_schemas_and_the_page_about_events_are_up_to_date(capsys):
    status = main(["--check", "--page", str(PAGE)])

    assert capsys.readouterr().out == ""
    assert status == 0
