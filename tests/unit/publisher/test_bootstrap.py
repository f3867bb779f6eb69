"""How the publisher is put together."""

from imagetron_chassis.settings import load
from imagetron_publisher.bootstrap import build
from imagetron_publisher.settings import Settings

ENVIRON = {"AMQP_URL": "amqp://guest:guest@127.0.0.1:5672/", "STORAGE_PATH": "objects"}
PARTS = ["probes", "work store", "public store", "broker", "consumer"]


def test_probes_are_the_first_to_start_and_messages_are_taken_only_when_all_else_is_ready():
    service = build(load(Settings, "publisher", ENVIRON))

    assert [part.name for part in service.parts] == PARTS
