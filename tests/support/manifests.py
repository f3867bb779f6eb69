"""Deployment files as data: the compose file, rendered overlays, and the names of the settings that they may set."""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagetron_chassis.settings import BaseServiceSettings

ROOT = Path(__file__).parents[2]
OVERLAYS = ("local", "staging", "production")
SERVICES = ("gateway", "prompt", "generator", "deriver", "publisher")
PORTS = {"gateway": 8015, "prompt": 8016, "generator": 8017, "deriver": 8018, "publisher": 8019}

SHARED_SETTINGS = {str(field.validation_alias) for field in BaseServiceSettings.model_fields.values()}
OWN_SETTINGS: dict[str, set[str]] = {
    "gateway": {
        "GATEWAY_HOST",
        "GATEWAY_PORT",
        "GATEWAY_DOCUMENTS_URL",
        "GATEWAY_EXTERNAL_URL",
        "PUBLIC_IMAGE_URL",
        "GATEWAY_TRUST_EVERY_CALLER",
        "GATEWAY_STAND_IN_MODEL",
        "GATEWAY_ADMISSION_INTERACTIVE",
        "GATEWAY_ADMISSION_BATCH",
    },
    "prompt": {"PROMPT_DOCUMENTS_URL", "PROMPT_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"},
    "generator": {
        "GENERATOR_TRITON_URL",
        "GENERATOR_MAX_CONCURRENT_JOBS",
        "GENERATOR_HEALTH_MODELS",
        "GENERATOR_HEALTH_INTERVAL_SECONDS",
    },
    "deriver": {"DERIVER_PROCESSES"},
    "publisher": set(),
}

Manifest = dict[str, Any]


def settings_of(service: str) -> set[str]:
    return SHARED_SETTINGS | OWN_SETTINGS[service]


@functools.cache
def compose() -> Manifest:
    """docker-compose.yml as written: merge keys resolved, variables not."""
    loaded: Manifest = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def example_environment() -> dict[str, str]:
    """What .env.example sets."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@functools.cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Everything that `kubectl apply -k` would send for this overlay. Skips where kubectl is not installed."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: overlays cannot be rendered")
    folder = ROOT / "deploy" / "k8s" / "overlays" / overlay
    run = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return tuple(document for document in yaml.safe_load_all(run.stdout) if document)


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in rendered(overlay) if item["kind"] == kind}


def pod_templates(overlay: str) -> Iterator[tuple[str, Manifest]]:
    """Name of the workload, and its pods' metadata and spec."""
    for item in rendered(overlay):
        if item["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
            yield item["metadata"]["name"], item["spec"]["template"]
