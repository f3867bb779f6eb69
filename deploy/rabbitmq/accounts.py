"""Prepares a broker: one vhost, one account a service, and the topology of the contracts. Safe to repeat.

No service reads another service's work. The gateway reads everybody's dead letters: operators look at them through it. The
topology is made here, because making a queue with a dead-letter route takes the right to read it.
"""

import asyncio
import os
import re
import sys
from urllib.parse import quote

import httpx

from imagetron_chassis.broker import Broker
from imagetron_contracts.topology import PROMPT_DESCRIBE, QUEUES

SERVICES = sorted({queue.consumer for queue in QUEUES} | {PROMPT_DESCRIBE.name.partition(".")[0]})
OPERATORS_DOOR = "gateway"
OWN_BY_CONNECTION = ("hints", "replies", "tails")
"""Exclusive queues: RabbitMQ itself keeps them to the connection that declared them."""


_DEAD_LETTERS = f"({'|'.join(re.escape(queue.dead_letters) for queue in QUEUES)})"


def permissions(service: str) -> dict[str, str]:
    """RabbitMQ's three regular expressions. Redeclaring and binding need the first two everywhere; reading is what counts."""
    every = _any_of("imagetron", *SERVICES, *OWN_BY_CONNECTION)
    readable = _any_of("imagetron", service, *OWN_BY_CONNECTION)
    return {
        "configure": f"^{every}$",
        # Replies to a request, messages coming home from a delay, dead letters sent home go through the default exchange.
        "write": f"^({every}|amq\\.default)$",
        "read": f"^({readable}|{_DEAD_LETTERS})$" if service == OPERATORS_DOOR else f"^{readable}$",
    }


async def prepare(management: httpx.AsyncClient, amqp_url: str, vhost: str, passwords: dict[str, str]) -> None:
    """Make everything, with an administrator's account."""
    where = quote(vhost, safe="")
    administrator = httpx.URL(amqp_url).username
    await _put(management, f"/api/vhosts/{where}", {})
    await _put(
        management, f"/api/permissions/{where}/{quote(administrator)}", {"configure": ".*", "write": ".*", "read": ".*"}
    )
    for service in SERVICES:
        await _put(management, f"/api/users/{service}", {"password": passwords[service], "tags": ""})
        await _put(management, f"/api/permissions/{where}/{service}", permissions(service))
    broker = Broker(amqp_url, "accounts")
    await broker.connect()
    await broker.close()


def _any_of(*prefixes: str) -> str:
    return f"({'|'.join(re.escape(prefix) for prefix in prefixes)})\\..*"


async def _put(management: httpx.AsyncClient, path: str, body: dict[str, str]) -> None:
    answer = await management.put(path, json=body)
    if answer.is_error:
        sys.exit(f"RabbitMQ answered {answer.status_code} to PUT {path}: {answer.text}")


async def _main() -> None:
    wanted = {service: f"AMQP_PASSWORD_{service.upper()}" for service in SERVICES}
    required = ["AMQP_URL", "MANAGEMENT_URL", *wanted.values()]
    if absent := [name for name in required if not os.environ.get(name)]:
        sys.exit(f"{', '.join(absent)}: needed to prepare the broker")
    amqp_url = os.environ["AMQP_URL"]
    url = httpx.URL(amqp_url)
    passwords = {service: os.environ[name] for service, name in wanted.items()}
    async with httpx.AsyncClient(
        base_url=os.environ["MANAGEMENT_URL"], auth=(url.username, url.password), timeout=30
    ) as management:
        await prepare(management, amqp_url, url.path.removeprefix("/") or "/", passwords)
    print(f"the broker is ready for {', '.join(SERVICES)}")  # noqa: T201 - a person reads this


if __name__ == "__main__":
    asyncio.run(_main())
