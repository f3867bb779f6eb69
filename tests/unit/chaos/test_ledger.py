import pytest

from chaos.ledger import Heard, History, Ledger, entries_in
from unit.chaos.histories import a_good_run


def test_a_ledger_reads_back_as_it_was_written(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for entry in a_good_run():
        ledger.write(entry)

    read = list(entries_in(ledger.path))
    ledger.close()

    assert [type(entry) for entry in read] == [type(entry) for entry in a_good_run()]
    assert History(read).of(Heard) == History(a_good_run()).of(Heard)


@pytest.mark.parametrize("line", ['{"kind": "Rumour"}', '{"kind": "Heard", "surprise": 1}', "{"])
def test_a_line_that_is_no_entry_spoils_the_ledger(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    path.write_text(line + "\n")

    with pytest.raises(ValueError, match=r"line|Expecting"):
        list(entries_in(path))
