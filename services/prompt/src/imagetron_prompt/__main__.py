"""Starts the prompt service."""

from imagetron_chassis.lifecycle import run
from imagetron_prompt.bootstrap import build
from imagetron_prompt.settings import Settings

if __name__ == "__main__":
    run("prompt", Settings, build)
