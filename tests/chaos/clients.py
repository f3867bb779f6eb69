"""Those outside: clients that ask and read until their story ends, and subscribers that hear. Nothing is judged here.

Clients behave as the API's pages tell them to: one Idempotency-Key for each job, the same key again after a connection
error or a 503, and no belief in anything that was not acknowledged.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Final, TypeVar

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from chaos.ledger import Acknowledged, Asked, Attempt, FamilyBegun, Heard, Ledger, Seen, Shown
from chaos.plan import Order
from imagetron_contracts.stages import FamilyStarted
from imagetron_contracts.topology import Exchange

T = TypeVar("T")
ENDED: Final = frozenset({"completed", "partial", "failed", "cancelled"})
_REQUEST_SECONDS: Final = 10.0
_READ_EVERY_SECONDS: Final = 0.8
_PAUSE_SECONDS: Final = 0.3
# A job that failed is worth so many retries of its client; each is an accident that the checker will tell of.
_MOST_RETRIES: Final = 2
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})

# What /api/images calls a status; all other words are the same.
_JOB_STATUS: Final = {"pending": "queued", "processing": "running", "complete": "completed"}


class Refused(Exception):
    """A gateway refused what it must accept; the ledger has its answer."""


class Api:
    """All gateways in turn. Every method asks until somebody answers; what came of each try is told to `tell`."""

    def __init__(self, gateways: list[str], dice: random.Random) -> None:
        self._gateways = itertools.cycle(enumerate(gateways))
        self._dice = dice
        self._client = httpx.AsyncClient(
            timeout=_REQUEST_SECONDS, trust_env=False, limits=httpx.Limits(max_connections=200)
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: dict[str, str] | None = None,
        tell: Callable[[int, str, httpx.Response | None], None] = lambda *_: None,
    ) -> httpx.Response:
        """The first answer that is one; connection errors and 5xx are asked again, at the next gateway."""
        while True:
            number, url = next(self._gateways)
            try:
                answer = await self._client.request(method, f"{url}{path}", json=body, headers=headers)
            except httpx.HTTPError as error:
                tell(number, type(error).__name__, None)
            else:
                tell(number, str(answer.status_code), answer)
                if answer.status_code not in _AGAIN:
                    return answer
            await asyncio.sleep(_PAUSE_SECONDS * (0.5 + self._dice.random()))

    async def close(self) -> None:
        await self._client.aclose()


class Client:
    """One job's client: submits, reads, and does what its order says."""

    def __init__(self, order: Order, api: Api, ledger: Ledger, dice: random.Random) -> None:
        self._order = order
        self._api = api
        self._ledger = ledger
        self._dice = dice
        self._last: Seen | None = None
        # Both show the same job, and neither may be behind the other.
        self._surfaces = itertools.cycle(("/api/jobs", "/api/images/variations"))

    async def play(self) -> str:
        """From the submission to the end of the story; the job's id."""
        job = await self._submit()
        if self._order.cancel_after_seconds is not None:
            cancelling = asyncio.create_task(self._cancel(job, self._order.cancel_after_seconds))
            await self._until_ended(job)
            await cancelling
            await self._until_ended(job)
            return job
        seen = await self._until_ended(job)
        for _ in range(_MOST_RETRIES):
            if seen.status not in {"partial", "failed"}:
                break
            await self._spend(job, "retry", f"/api/jobs/{job}/retry")
            seen = await self._until_ended(job)
        if self._order.regenerate and seen.status == "completed":
            await self._spend(job, "regenerate", f"/api/images/variations/{job}/regenerate")
            await self._until_ended(job)
        return job

    async def _submit(self) -> str:
        """Some clients lose patience and ask twice at once; that must be one job too."""
        jobs = await asyncio.gather(*(self._submit_once() for _ in range(2 if self._order.is_impatient else 1)))
        return jobs[0]

    async def _submit_once(self) -> str:
        def tell(gateway: int, answer: str, response: httpx.Response | None) -> None:
            replayed = response is not None and "Idempotency-Replayed" in response.headers
            self._ledger.write(Attempt(key=self._order.key, gateway=gateway, answer=answer, replayed=replayed))

        answer = await self._api.ask(
            "POST",
            "/api/images/variations",
            body=self._order.body,
            headers={"Idempotency-Key": self._order.key},
            tell=tell,
        )
        if answer.status_code != httpx.codes.ACCEPTED:
            raise Refused(f"{self._order.key}: {answer.status_code} {answer.text[:500]}")
        job = str(answer.json()["id"])
        self._ledger.write(Acknowledged(key=self._order.key, job=job))
        return job

    async def _until_ended(self, job: str) -> Seen:
        while True:
            seen = await self._read(job)
            if seen is not None and seen.status in ENDED:
                return seen
            await asyncio.sleep(_READ_EVERY_SECONDS * (0.7 + 0.6 * self._dice.random()))

    async def _read(self, job: str) -> Seen | None:
        answer = await self._api.ask("GET", f"{next(self._surfaces)}/{job}")
        if answer.status_code != httpx.codes.OK:
            # A job that was acknowledged and is not there: the checker finds it by its document too.
            self._note(Seen(job=job, revision=0, status=f"answer {answer.status_code}", attempts={}, families={}))
            return None
        shown = answer.json()
        families = shown["families"]
        seen = Seen(
            job=job,
            revision=shown["revision"],
            status=_JOB_STATUS.get(shown["status"], shown["status"]),
            attempts={name: family["attempt"] for name, family in families.items()},
            families={name: family["status"] for name, family in families.items()},
        )
        self._note(seen)
        return seen

    def _note(self, seen: Seen) -> None:
        last = self._last
        if last is None or _told(last) != _told(seen):
            self._ledger.write(seen)
        self._last = seen

    async def _cancel(self, job: str, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        await self._api.ask("POST", f"/api/jobs/{job}/cancel", tell=self._teller(job, "cancel"))

    async def _spend(self, job: str, verb: str, path: str) -> None:
        """Something that starts work again, with a key of its own: once, however often it is asked."""
        revision = self._last.revision if self._last else 0
        key = f"{self._order.key}-{verb}-{revision}-{self._dice.randrange(2**32)}"
        await self._api.ask("POST", path, headers={"Idempotency-Key": key}, tell=self._teller(job, verb))

    def _teller(self, job: str, verb: str) -> Callable[[int, str, httpx.Response | None], None]:
        return lambda _gateway, answer, _response: self._ledger.write(Asked(job=job, verb=verb, answer=answer))


async def show(api: Api, ledger: Ledger, job: str) -> None:
    """Write down how the API shows a job now."""
    answer = await api.ask("GET", f"/api/images/variations/{job}")
    if answer.status_code != httpx.codes.OK:
        ledger.write(Shown(job=job, status=f"answer {answer.status_code}", revision=0, pictures=[]))
        return
    shown = answer.json()
    status = _JOB_STATUS.get(shown["status"], shown["status"])
    ledger.write(Shown(job=job, status=status, revision=shown["revision"], pictures=shown["derivatives"]))


Take = Callable[[AbstractIncomingMessage], None]


class Subscriber:
    """Another team's service: a durable queue of its own, messages acknowledged after they are written down."""

    def __init__(self, amqp_url: str, exchange: Exchange, queue: str, routing_key: str, take: Take) -> None:
        self._amqp_url = amqp_url
        self._exchange = exchange
        self._queue = queue
        self._routing_key = routing_key
        self._take = take
        self._task: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen_for_ever())
        await self._listens.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task  # if it ended with an error, the run must not pass for one that heard everything

    async def _listen_for_ever(self) -> None:
        while True:
            with contextlib.suppress(AMQPError, OSError, asyncio.TimeoutError):
                await self._listen()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self) -> None:
        connection = await aio_pika.connect(self._amqp_url, timeout=5)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=50)
            # A classic queue, as another team may have one: it keeps only what was sent to be kept.
            queue = await channel.declare_queue(self._queue, durable=True)
            await queue.bind(self._exchange.value, routing_key=self._routing_key)
            self._listens.set()
            async with queue.iterator() as messages:
                async for message in messages:
                    self._take(message)
                    await message.ack()


def event_subscriber(amqp_url: str, ledger: Ledger, heard: Callable[[str, int], None]) -> Subscriber:
    """Hears every public event; `heard` gets job and sequence."""

    def take(message: AbstractIncomingMessage) -> None:
        raw = json.loads(message.body)
        ledger.write(
            Heard(
                id=raw["id"],
                type=raw["type"],
                job=raw["subject"],
                sequence=int(raw["sequence"]),
                digest=hashlib.sha256(message.body).hexdigest(),
                data=raw["data"],
            )
        )
        heard(raw["subject"], int(raw["sequence"]))

    return Subscriber(amqp_url, Exchange.EVENTS, "chaos.events", "#", take)


def work_observer(amqp_url: str, ledger: Ledger, saw: Callable[[float], None]) -> Subscriber:
    """Hears what services tell each other; `saw` gets the moment at which each message was made."""

    def take(message: AbstractIncomingMessage) -> None:
        raw = json.loads(message.body)
        saw(_seconds(raw["time"]))
        if raw["type"] == FamilyStarted.TYPE:
            ledger.write(FamilyBegun(id=raw["id"], job=raw["subject"]))

    return Subscriber(amqp_url, Exchange.STAGES, "chaos.stages", "#", take)


async def in_turn(things: Iterable[T], at_once: int, do: Callable[[T], Awaitable[None]]) -> None:
    """Everything, so many at a time."""
    waiting = iter(things)

    async def one_after_the_other() -> None:
        for thing in waiting:
            await do(thing)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())


def _told(seen: Seen) -> tuple[object, ...]:
    return seen.revision, seen.status, seen.attempts, seen.families


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
