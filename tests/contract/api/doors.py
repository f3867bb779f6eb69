"""The two doors by which bytes of strangers come in, behind the gateway's own middleware. No expectations live here."""

import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx
from fastapi import FastAPI, Request
from PIL import Image, UnidentifiedImageError
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.outbox import Relay
from imagetron_chassis.pictures.overlays import Overlay
from imagetron_chassis.pictures.values import Picture, PictureLimits
from imagetron_chassis.principals import Principal
from imagetron_chassis.testing import FakeClock, RecordingPublisher
from imagetron_contracts.media import Dimensions
from imagetron_gateway.adapters.inbox import INBOX, DocumentInbox
from imagetron_gateway.adapters.sources import SOURCES, DocumentSources
from imagetron_gateway.api.middleware import LimitedBody, Observed
from imagetron_gateway.api.problems import answer_bug, answer_with_problems
from imagetron_gateway.api.sources import SourcesDesk, sources_router
from imagetron_gateway.api.webhooks import CallbacksDesk, webhooks_router
from imagetron_gateway.domain.sources import Pixels
from imagetron_gateway.ports import PictureRefused, ReadPicture
from support.builders import NOW, a_job_id

BASE = "https://api.example.com"
TOKENS = CallbackTokens("a secret of the tests, long enough")
REFERENCE = "0123456789abcdef" * 2
KEYS: dict[str, tuple[bytes, ...]] = {"signing": (b"k" * 32, b"old" * 10), "plain": ()}
ANNA = Principal(owner="anna", scopes=frozenset({"*"}))


class PillowInThisProcess:
    """Reads pictures where a bomb would hurt: enough for pictures that the tests themselves make."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    async def __call__(self, upload: bytes) -> Pixels:
        self.read.append(upload)
        try:
            with Image.open(io.BytesIO(upload)) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise PictureRefused("the picture moves; send a still one")
                pixels = image.convert("RGB").tobytes()
                size = Dimensions(width=image.width, height=image.height)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise PictureRefused("the picture cannot be read") from error
        return Pixels(pixels, size, sha256(pixels).hexdigest())


class PaintsOver:
    """Draws nothing, and remembers what it should have drawn: the copy is as grey as the render was large."""

    def __init__(self) -> None:
        self.ordered: list[tuple[bytes, Dimensions, Overlay]] = []
        self.refusal: ChassisError | None = None

    async def drawn(
        self, data: bytes, size: Dimensions, overlay: Overlay, *, most_side: int, limits: PictureLimits
    ) -> Picture:
        assert len(data) <= limits.max_bytes
        if self.refusal:
            raise self.refusal
        self.ordered.append((data, size, overlay))
        scale = min(1.0, most_side / max(size.width, size.height))
        copy = Dimensions(width=round(size.width * scale), height=round(size.height * scale))
        pixels = bytes(3 * copy.width * copy.height)
        return Picture(pixels, copy, sha256(pixels).hexdigest())


class Doors:
    """One application with both routers, its stores, and a client in front of it."""

    def __init__(
        self,
        *,
        documents: Documents | None = None,
        work: Blobs | None = None,
        read_picture: ReadPicture | None = None,
    ) -> None:
        self.documents = documents or InMemoryDocuments()
        self.work = work or InMemoryBlobs()
        self.clock = FakeClock(NOW)
        self.publisher = RecordingPublisher()
        self.inbox = DocumentInbox(self.documents, self.work)
        self.sources = DocumentSources(self.documents, self.work, self.clock)
        self.relay = Relay(self.inbox, self.publisher, self.clock)
        self.pictures = PillowInThisProcess()
        self.principal = ANNA
        self.counted: list[tuple[str, str | None]] = []
        self._ids = 0
        self.application = FastAPI(
            middleware=[
                Middleware(Observed),
                Middleware(ServerErrorMiddleware, handler=answer_bug),
                Middleware(LimitedBody),
            ],
            redirect_slashes=False,
        )
        self.application.state.authenticate = self._caller
        answer_with_problems(self.application)
        self.application.include_router(
            webhooks_router(
                CallbacksDesk(
                    tokens=TOKENS,
                    signers=KEYS,
                    inbox=self.inbox,
                    outbox=self.relay,
                    clock=self.clock,
                    count=lambda outcome, provider: self.counted.append((outcome.value, provider)),
                )
            )
        )
        self.application.include_router(
            sources_router(
                SourcesDesk(
                    sources=self.sources,
                    read_picture=read_picture or self.pictures,
                    clock=self.clock,
                    new_id=self._new_id,
                    base_url=BASE,
                )
            )
        )
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url=BASE)

    async def call_back(
        self,
        body: bytes | Mapping[str, Any] | AsyncIterator[bytes],
        *,
        provider: str = "plain",
        token: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> httpx.Response:
        content = json.dumps(body).encode() if isinstance(body, Mapping) else body
        path = f"/webhooks/providers/{provider}/{token or TOKENS.token(provider, REFERENCE)}"
        answer = await self.client.post(path, content=content, headers=list(headers))
        await self.relay.finish()
        return answer

    async def upload(self, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/api/images/sources", content=content, headers=named)

    async def kept(self) -> int:
        """Documents in inbox and sources together."""
        return await self.documents.count(INBOX) + await self.documents.count(SOURCES)

    async def _caller(self, _: Request) -> Principal:
        return self.principal

    def _new_id(self) -> str:
        self._ids += 1
        return a_job_id(self._ids)


@asynccontextmanager
async def opened(doors: Doors) -> AsyncIterator[Doors]:
    async with doors.client:
        await doors.inbox.prepare()
        await doors.sources.prepare()
        yield doors
    await doors.relay.finish()
    await doors.documents.close()
