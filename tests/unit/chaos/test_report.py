from chaos.checker import Finding, Kind, check
from chaos.ledger import BrokerBack, Died, Ready, Started
from chaos.report import report, summary
from unit.chaos.histories import JOB, a_document, a_history

PAIRS = [("deriver", "deriver.file_stored"), ("deriver", "blobs.before_link")]
DEATH = Died(process="deriver-1", service="deriver", pid=1, cause="planned", status=-9, point="deriver.file_stored")
BACK = BrokerBack(down_seconds=9.0, publish_seconds=0.5, consume_seconds=1.5, all_consume_seconds=None)


def test_a_good_run_ends_in_three_zeros():
    assert summary(a_history(), []).startswith("lost=0 doubled=0 stuck=0  other findings=0")


def test_a_job_with_two_findings_counts_once():
    findings = [Finding(Kind.STUCK, JOB, "is running"), Finding(Kind.STUCK, JOB, "has something untold")]

    assert "stuck=1" in summary(a_history(), findings)


def test_kills_are_those_at_points_at_random_and_of_the_broker():
    at_random = Died(process="prompt-1", service="prompt", pid=2, cause="random", status=-9)
    stopped = Died(process="prompt-1", service="prompt", pid=3, cause="stopped", status=0)

    assert "kills=3" in summary(a_history(plus=[DEATH, at_random, stopped, BACK]), [])


def test_the_table_names_the_seed_each_pair_and_what_was_not_hit():
    lines = list(report(a_history(plus=[DEATH]), [], PAIRS))

    assert lines[0].split() == ["seed", "1"]
    assert any(line.split() == ["deriver", "deriver.file_stored", "1"] for line in lines)
    assert any(line.split() == ["deriver", "blobs.before_link", "NOT", "HIT"] for line in lines)
    assert "  not hit: deriver at blobs.before_link" in lines


def test_the_table_tells_how_long_recovery_took():
    process = Started(process="deriver-1", service="deriver", pid=1, plan=None)
    ready = Ready(process="deriver-1", pid=1, start_seconds=2.0, death_seconds=2.5)
    text = "\n".join(report(a_history(plus=[process, ready, BACK]), [], PAIRS))

    assert "deriver: death to ready              median   2.5" in text
    assert "broker port to first message sent    median   0.5" in text
    assert "broker port to all consumers         none" in text


def test_findings_are_shown_with_their_job():
    history = a_history(document=a_document(status="running"))

    assert any(JOB in line and "stuck" in line for line in report(history, check(history), PAIRS))
