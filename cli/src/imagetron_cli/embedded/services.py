"""The five services of the embedded stack: how each is started and what its environment says. Nothing is started here."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import httpx

from imagetron_cli.embedded.ports import LOOPBACK, Ports
from imagetron_cli.embedded.process import ProcessSpec
from imagetron_cli.embedded.state import State

SERVICES: Final = ("gateway", "prompt", "generator", "deriver", "publisher")
LogFormat = Literal["console", "json"]
_PROBE_SECONDS: Final = 3.0
_STOP_SECONDS: Final = 25.0
"""Five more than a service's own default for finishing what it has in hand."""


def probe_port(name: str, ports: Ports) -> int:
    """Where a service answers /healthz, /readyz and /metrics; the gateway does so on its API's port."""
    return ports.named()[name]


def service_command(name: str) -> list[str]:
    return [sys.executable, "-m", f"imagetron_{name}"]


def service_environment(
    name: str, *, state: State, ports: Ports, amqp_url: str, log_format: LogFormat, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The caller's environment, what this machine's stack needs where the caller says nothing, and what is not to choose."""
    gateway_url = f"http://{LOOPBACK}:{ports.gateway}"
    unless_given = {
        "LOG_FORMAT": log_format,
        "SPANS_FILE": str(state.spans / f"{name}.jsonl"),
        **({} if inherited.get("S3_BUCKET") else {"STORAGE_PATH": str(state.objects)}),
    }
    fixed = {
        "ENVIRONMENT": "embedded",
        "AMQP_URL": amqp_url,
        "PYTHONUNBUFFERED": "1",
        # gRPC and HTTP clients would send even loopback's calls to a proxy; gRPC reads the name in small letters only.
        "no_proxy": LOOPBACK,
        "NO_PROXY": LOOPBACK,
    }
    if name == "gateway":
        unless_given |= {
            "GATEWAY_DOCUMENTS_URL": f"sqlite:///{state.documents / 'gateway.sqlite3'}",
            "GATEWAY_EXTERNAL_URL": gateway_url,
            "GATEWAY_STAND_IN_MODEL": "preview",
        }
        fixed |= {"GATEWAY_HOST": LOOPBACK, "GATEWAY_PORT": str(ports.gateway)}
    else:
        fixed |= {"PROBES_HOST": LOOPBACK, "PROBES_PORT": str(probe_port(name, ports))}
    if name == "prompt":
        unless_given |= {"PROMPT_DOCUMENTS_URL": f"sqlite:///{state.documents / 'prompt.sqlite3'}"}
    if name == "generator":
        unless_given |= {"GENERATOR_DOCUMENTS_URL": f"sqlite:///{state.documents / 'generator.sqlite3'}"}
        fixed |= {"GENERATOR_TRITON_URL": f"{LOOPBACK}:{ports.triton_grpc}"}
    return {**unless_given, **inherited, **fixed}


def service_spec(
    name: str,
    *,
    command: Callable[[str], Sequence[str]],
    environment: Mapping[str, str],
    port: int,
    client: httpx.AsyncClient,
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=command(name),
        environment=environment,
        is_ready=lambda: answers_ready(client, port),
        # It waits for the broker by itself, and the broker has 90 s.
        ready_within_seconds=120,
        grace_seconds=_STOP_SECONDS,
    )


async def answers_ready(client: httpx.AsyncClient, port: int) -> bool:
    try:
        answer = await client.get(f"http://{LOOPBACK}:{port}/readyz", timeout=_PROBE_SECONDS)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK
