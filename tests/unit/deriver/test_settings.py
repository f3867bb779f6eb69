"""The deriver's settings."""

import os

import pytest

from imagetron_chassis.settings import WrongConfiguration, load
from imagetron_deriver.settings import Settings

ENVIRON = {"AMQP_URL": "amqp://guest:guest@127.0.0.1:5672/", "STORAGE_PATH": "objects"}


def test_there_is_one_process_for_each_cpu_unless_set():
    assert load(Settings, "deriver", ENVIRON).processes == os.cpu_count()
    assert load(Settings, "deriver", {**ENVIRON, "DERIVER_PROCESSES": "3"}).processes == 3


def test_no_processes_at_all_is_refused():
    with pytest.raises(WrongConfiguration, match="DERIVER_PROCESSES"):
        load(Settings, "deriver", {**ENVIRON, "DERIVER_PROCESSES": "0"})
