"""`python -m imagetron_gateway`."""

from imagetron_chassis.lifecycle import run
from imagetron_gateway.bootstrap import build
from imagetron_gateway.settings import Settings

if __name__ == "__main__":
    run("gateway", Settings, build)
