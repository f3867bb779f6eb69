"""How the deriver is put together."""

from imagetron_chassis.settings import load
from imagetron_deriver.bootstrap import build
from imagetron_deriver.settings import Settings

ENVIRON = {"AMQP_URL": "amqp://guest:guest@127.0.0.1:5672/", "STORAGE_PATH": "objects"}
PARTS = ["probes", "work store", "cutter", "broker", "consumer"]


def test_probes_are_the_first_to_start_and_messages_are_taken_only_when_all_else_is_ready():
    service = build(load(Settings, "deriver", ENVIRON))

    assert [part.name for part in service.parts] == PARTS
