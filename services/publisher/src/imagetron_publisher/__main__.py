"""Starts the publisher: `python -m imagetron_publisher`."""

from imagetron_chassis.lifecycle import run
from imagetron_publisher.bootstrap import NAME, build
from imagetron_publisher.settings import Settings

if __name__ == "__main__":
    run(NAME, Settings, build)
