"""A running gateway, its clients and its workers, for tests of what becomes of them. No expectations live here."""

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from imagetron_contracts.stages import FamilyPublished, FamilyRequested
from imagetron_contracts.topology import GENERATOR_INTERACTIVE
from integration.chassis.workbench import Bench
from support.builders import a_job, a_variation_request, family_published
from support.eventually import eventually_sync
from support.service_process import ServiceProcess

FAMILY = "facebook-og"
VARIATIONS = "/api/images/variations"


@dataclass(frozen=True)
class Answer:
    response: httpx.Response
    seconds: float

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.response.json()
        return body


class GatewayDesk:
    """Callers, under one URL."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def submit(self, name: str) -> Answer:
        """A job of one family; the name is its key as well, so a repeated call is a retry."""
        body = a_variation_request(name=name, families=[FAMILY])
        return await self._answer("POST", VARIATIONS, json=body, headers={"Idempotency-Key": name})

    async def read(self, job_id: str) -> Answer:
        return await self._answer("GET", f"{VARIATIONS}/{job_id}")

    async def names(self) -> list[str]:
        """Of all jobs there are."""
        answer = await self._answer("GET", f"{VARIATIONS}?limit=200")
        assert answer.status == httpx.codes.OK, answer.response.text
        return sorted(item["name"] for item in answer.body["items"])

    async def _answer(self, method: str, path: str, **request: Any) -> Answer:
        began = time.monotonic()
        response = await self._client.request(method, path, timeout=60, **request)
        return Answer(response, time.monotonic() - began)


@asynccontextmanager
async def a_desk(gateway: ServiceProcess) -> AsyncIterator[GatewayDesk]:
    """Each request on its own connection: one that the server closes as idle just then would break a request."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=gateway.url, limits=limits) as client:
        yield GatewayDesk(client)


def readiness(gateway: ServiceProcess) -> dict[str, Any]:
    return dict(httpx.get(f"{gateway.url}/readyz", timeout=30).json())


def until_it_consumes(gateway: ServiceProcess) -> ServiceProcess:
    """Ready it is without a broker: only when it consumes are all queues there, and may be looked into."""
    eventually_sync(lambda: readiness(gateway)["checks"]["broker"] == "ok", within_seconds=60)
    return gateway


async def requests_of(bench: Bench, jobs: Collection[str], *, within_seconds: float = 30) -> dict[str, FamilyRequested]:
    """What generators are asked for, by job, until all these jobs were among them.

    A message may come twice, the same one: its sender could not note that it was sent.
    """
    asked: dict[str, FamilyRequested] = {}
    while not asked.keys() >= set(jobs):
        envelope = await bench.take_envelope(GENERATOR_INTERACTIVE.name, within_seconds=within_seconds)
        request = envelope.data
        assert isinstance(request, FamilyRequested)
        assert asked.setdefault(request.job_id, request) == request
    return asked


def done(request: FamilyRequested) -> FamilyPublished:
    """What the last worker says when this family is public."""
    return family_published(a_job(FAMILY, id=request.job_id), FAMILY, attempt=request.attempt)
