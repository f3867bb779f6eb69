"""Starts the generator."""

from imagetron_chassis.lifecycle import run
from imagetron_generator.bootstrap import build
from imagetron_generator.settings import Settings

if __name__ == "__main__":
    run("generator", Settings, build)
