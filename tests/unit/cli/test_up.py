import io

import pytest
from rich.console import Console

from imagetron_cli.commands.up import Follower

READ = (
    "2026-11-21T01:38:39.016584Z [info     ] request_handled                method=GET route=/x service=gateway status="
)


def followed(line: str, name: str = "gateway") -> str:
    printed = io.StringIO()
    follower = Follower(Console(file=printed, width=20))
    follower.is_following = True
    follower.line(name, line)
    return printed.getvalue()


@pytest.mark.parametrize("line", [f"{READ}500", f"{READ}404", f"{READ}200".replace("GET", "POST"), "family_admitted"])
def test_what_changes_something_or_goes_wrong_is_shown_on_one_line(line):
    assert followed(line) == f"  gateway {line}\n"


@pytest.mark.parametrize("status", ["200", "304"])
def test_good_answers_to_those_who_only_read_are_left_to_the_files(status):
    assert followed(READ + status) == ""


def test_the_lines_of_neighbours_are_left_to_the_files():
    assert followed("accepting AMQP connection", name="rabbitmq") == ""
