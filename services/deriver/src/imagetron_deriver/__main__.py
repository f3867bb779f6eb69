"""Starts the deriver: `python -m imagetron_deriver`."""

from imagetron_chassis.lifecycle import run
from imagetron_deriver.bootstrap import NAME, build
from imagetron_deriver.settings import Settings

if __name__ == "__main__":
    run(NAME, Settings, build)
