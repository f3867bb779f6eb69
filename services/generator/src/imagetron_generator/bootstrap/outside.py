"""Wires what there is only with outside providers: those that answer in the call, and the desk for those that answer later."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.broker import Broker
from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, Subscription
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.downloads import DownloadRules, GuardedDownloads
from imagetron_chassis.lifecycle import Part
from imagetron_chassis.periodic import Periodic
from imagetron_generator.adapters.called_back import RULES as CALLED_BACK_RULES
from imagetron_generator.adapters.called_back import CalledBackProvider
from imagetron_generator.adapters.openai_images import OpenAIImageModel
from imagetron_generator.adapters.pictures import ReaderPictures
from imagetron_generator.adapters.polled import PolledProvider
from imagetron_generator.adapters.provider_tasks import DocumentPaidCalls, DocumentProviderTasks
from imagetron_generator.domain.renders import FamilyImage
from imagetron_generator.ports import CallbackUrl, Fetch, ImageModel, TaskProvider
from imagetron_generator.settings import Settings
from imagetron_generator.usecases.choosing import OPENAI
from imagetron_generator.usecases.outside_model import OutsideModel
from imagetron_generator.usecases.paying import Till, paid_call
from imagetron_generator.usecases.render_image import recorded_render
from imagetron_generator.usecases.standing import Standing, report_standings
from imagetron_generator.usecases.tasks.attending import sweep
from imagetron_generator.usecases.tasks.desk import TaskDesk
from imagetron_generator.usecases.tasks.watch import Watch
from imagetron_generator.usecases.watched_tasks import WatchedTasks


@dataclass(slots=True)
class Outside:
    """Empty where no outside provider is configured: then their queue is left to processes that have one."""

    models: dict[str, ImageModel] = field(default_factory=dict)
    desk: TaskDesk | None = None
    concurrency: int = 0
    checks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    consumers: list[Consumer] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    """To be started before any consumer."""

    def consume(self, url: str, facts: Facts, wanted: Sequence[Subscription]) -> None:
        """On connections of their own: a pause of our own models' queues must not reach these, and a connection starts all of
        its consumers at once.
        """
        if not wanted:
            return
        broker = Broker(url, "generator-outside")
        self.checks["outside broker"] = broker.consumers_exist
        self.consumers.append(Consumer(broker, facts, wanted))
        self.parts.append(Part("outside broker", broker.connect, broker.close))


def outside_providers(
    settings: Settings, *, work: Blobs, pictures: ReaderPictures, facts: Facts, reporter: str
) -> Outside:
    """What the settings name."""
    providers, standings = _task_providers(settings)
    if settings.openai_api_key is None and not providers:
        return Outside()
    if settings.documents_url is None:
        raise ValueError("GENERATOR_DOCUMENTS_URL: is required where an outside provider is configured")
    documents = _documents(settings.documents_url.get_secret_value())
    tasks, paid_calls = DocumentProviderTasks(documents), DocumentPaidCalls(documents)
    clock, watch, fetch = SystemClock(), Watch(time.monotonic), _fetch(settings)

    async def prepare() -> None:
        await tasks.prepare()
        await paid_calls.prepare()

    async def report() -> None:
        await report_standings(standings, reporter=reporter, announce=facts.publish, clock=clock)

    outside = Outside(concurrency=settings.external_concurrency, checks={"documents": documents.ping})
    outside.parts.append(Part("documents", prepare, documents.close))
    rounds = [Periodic("provider health", settings.health_interval_seconds, report)]
    if settings.openai_api_key is not None:
        standings.append(_standing(OPENAI, settings.openai_image_model))
        outside.models[OPENAI] = OutsideModel(
            OpenAIImageModel(
                settings.openai_base_url,
                settings.openai_api_key,
                fetch=fetch,
                read_picture=pictures.read,
                quality=settings.openai_image_quality,
            ),
            standings[-1],
            places=asyncio.Semaphore(settings.external_concurrency),
            paid=_paid(Till(paid_calls, clock, watch, reporter)),
            is_kept=_is_kept(work),
            timer=time.monotonic,
        )
    if providers:
        outside.desk = desk = TaskDesk(
            providers=providers,
            tasks=tasks,
            work=work,
            announce=facts.publish,
            fetch=fetch,
            pictures=pictures,
            callback_url=_callback_url(settings),
            clock=clock,
            watch=watch,
            owner=reporter,
        )
        for name, provider in providers.items():
            outside.parts.append(Part(f"provider {name}", _at_first_use, provider.close))
            # One for each: a provider that hangs keeps nobody else's tasks waiting.
            look_after = partial(sweep, name, desk=desk)
            rounds.append(Periodic(f"tasks of {name}", settings.provider_poll_seconds, look_after))
    outside.parts += [Part("rounds", each.start, each.stop) for each in rounds]
    return outside


def _task_providers(settings: Settings) -> tuple[dict[str, TaskProvider], list[Standing]]:
    made: list[tuple[TaskProvider, str]] = []
    if settings.callback_provider_url and settings.callback_provider_key:
        rules = replace(CALLED_BACK_RULES, can_find=settings.callback_provider_can_find)
        called_back = CalledBackProvider(settings.callback_provider_url, settings.callback_provider_key, rules=rules)
        made.append((called_back, settings.callback_provider_model))
    if settings.polled_provider_url and settings.polled_provider_key:
        polled = PolledProvider(settings.polled_provider_url, settings.polled_provider_key)
        made.append((polled, settings.polled_provider_model))
    standings = [_standing(provider.name, model) for provider, model in made]
    watched = [WatchedTasks(provider, standing) for (provider, _), standing in zip(made, standings, strict=True)]
    return {provider.name: provider for provider in watched}, standings


def _standing(provider: str, model: str) -> Standing:
    return Standing(provider, (model,), time.monotonic, chance=random.random)


def _paid(till: Till) -> Callable[[FamilyImage, float], AbstractAsyncContextManager[None]]:
    def paid(image: FamilyImage, seconds: float) -> AbstractAsyncContextManager[None]:
        return paid_call(image.family, image.index, provider=OPENAI, deadline_seconds=seconds, till=till)

    return paid


def _is_kept(work: Blobs) -> Callable[[FamilyImage], Awaitable[bool]]:
    async def is_kept(image: FamilyImage) -> bool:
        return await recorded_render(image.family, image.index, work=work) is not None

    return is_kept


def _fetch(settings: Settings) -> Fetch:
    loopback = settings.download_loopback
    rules = DownloadRules(settings.download_hosts, dangerously_allow_plain_http_on_loopback=loopback)
    downloads = GuardedDownloads(rules)

    async def fetch(url: str) -> bytes:
        return (await downloads.fetch(url)).data

    return fetch


def _callback_url(settings: Settings) -> CallbackUrl:
    """As the gateway's route takes it. Only a provider that calls back asks for one, and it is configured with these settings."""
    secrets = [
        secret.get_secret_value() for secret in (settings.callback_secret, settings.callback_secret_previous) if secret
    ]
    tokens = CallbackTokens(*secrets) if secrets else None
    base = (settings.callback_base_url or "").rstrip("/")

    def callback_url(provider: str, reference: str) -> str:
        if not base or tokens is None:
            raise ValueError(f"GENERATOR_CALLBACK_BASE_URL and PROVIDER_CALLBACK_SECRET: {provider} needs both")
        return f"{base}/webhooks/providers/{provider}/{tokens.token(provider, reference)}"

    return callback_url


def _documents(url: str) -> Documents:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return SqliteDocuments(Path(parts.path))
    return MongoDocuments(url, parts.path.strip("/") or "imagetron")


async def _at_first_use() -> None:
    """Nothing to start: it connects when it is first asked."""
