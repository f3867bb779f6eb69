"""What every image model promises: one suite over memory, Triton's preview model, OpenAI's API and a compatible server's."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from pydantic import SecretStr

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.adapters.openai_images import OpenAIImageModel
from imagetron_generator.adapters.triton import TritonImageModel
from imagetron_generator.domain.renders import RenderRequest
from imagetron_generator.ports import (
    ContentFiltered,
    ImageModel,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
    QueueFull,
)
from support.eventually import eventually
from support.openai_images_double import (
    GPT_MODEL,
    OTHER_MODEL,
    OpenAIImagesDouble,
    an_openai_images_double,
    decoded,
    downloaded,
)
from support.ports import free_port

CANARY = "the violet heron of Quillmore"
KEY_CANARY = "sk-canary-of-a-key"
AMPLE_SECONDS = 60
SHORT_SECONDS = 1

PROMPTS = {
    "plain": "a lighthouse",
    "edges": "  \ta lighthouse with spaces around it \n",
    "newlines": "a lighthouse\nby night\r\nin a storm\rover rocks",
    "emoji": "a lighthouse \U0001f3e0\U0001f469\u200d\U0001f680",
    "right to left": "\u05de\u05d2\u05d3\u05dc\u05d5\u05e8 \u0645\u0646\u0627\u0631\u0629 \u202ea lighthouse\u202c",
    "decomposed": "cafe\u0301 by the sea",
    "NUL": "a light\0house",
    "form": '--boundary\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n"quoted" & {"json": "\\u0041"}',
    "4000 characters": "lighthouse " * 363 + "by sea!",
}


class Steps(list[tuple[int, int]]):
    def __call__(self, step: int, steps: int) -> None:
        self.append((step, steps))


@dataclass
class Trouble:
    """A call that is to fail."""

    model: ImageModel
    request: RenderRequest
    deadline_seconds: float = AMPLE_SECONDS


@dataclass
class Subject:
    """An implementation with a request that it takes; subclasses know what surrounds it."""

    model: ImageModel
    request: RenderRequest
    opened: list[ImageModel] = field(default_factory=list)

    def lets_calls_wait(self) -> RenderRequest:
        """From now on calls do not end by themselves: a request for such a one."""
        raise NotImplementedError

    async def is_at_work(self, steps: Steps) -> None:
        """Until the call that tells of these steps has begun."""
        await eventually(lambda: steps)

    async def has_stopped(self) -> None:
        """Until nobody works for a call that was cancelled."""
        raise NotImplementedError

    def heard(self) -> str | None:
        """The prompt of the last call as it came; None where it cannot be seen."""
        return None

    def meets(self, fault: str) -> Trouble:
        raise NotImplementedError


class InMemory(Subject):
    @classmethod
    def made(cls) -> "InMemory":
        return cls(InMemoryImageModel(), a_render())

    @property
    def twin(self) -> InMemoryImageModel:
        assert isinstance(self.model, InMemoryImageModel)
        return self.model

    def lets_calls_wait(self) -> RenderRequest:
        self.twin.hold()
        return self.request

    async def has_stopped(self) -> None:
        assert self.twin.cancelled == 1

    def heard(self) -> str:
        return self.twin.requests[-1].prompt

    def meets(self, fault: str) -> Trouble:
        told: dict[str, ChassisError] = {
            "away": ModelUnavailable("the model cannot be called now"),
            "queue full": QueueFull("the queue is full", retry_after_seconds=5),
        }
        return Trouble(InMemoryImageModel(told[fault]), self.request)


class Triton(Subject):
    @classmethod
    def made(cls, address: str) -> "Triton":
        return cls(TritonImageModel(address), a_render(model="preview"))

    def lets_calls_wait(self) -> RenderRequest:
        return replace(self.request, size=Dimensions(width=4096, height=4096), steps=150)

    async def has_stopped(self) -> None:
        await self.model.render(self.request, Steps(), deadline_seconds=AMPLE_SECONDS)

    def meets(self, fault: str) -> Trouble:
        match fault:
            case "away":
                nobody = TritonImageModel(f"127.0.0.1:{free_port()}")
                self.opened.append(nobody)
                return Trouble(nobody, self.request)
            case "not loaded":
                return Trouble(self.model, replace(self.request, model="sdxl-of-tomorrow"))
            case "late":
                return Trouble(self.model, self.lets_calls_wait(), SHORT_SECONDS)
            case _:
                return Trouble(self.model, replace(self.request, size=Dimensions(width=3, height=3)))


@dataclass
class OpenAI(Subject):
    double: OpenAIImagesDouble = field(kw_only=True)

    @classmethod
    def made(cls, double: OpenAIImagesDouble, **changes) -> "OpenAI":
        return cls(an_openai_model(double), an_unseeded_render(**changes), double=double)

    def lets_calls_wait(self) -> RenderRequest:
        self.double.hang()
        return self.request

    async def is_at_work(self, steps: Steps) -> None:
        await eventually(lambda: self.double.calls)

    async def has_stopped(self) -> None:
        await eventually(lambda: self.double.left)

    def heard(self) -> str:
        return self.double.requests[-1].prompt

    def meets(self, fault: str) -> Trouble:
        refused = replace(self.request, negative_prompt=CANARY)
        match fault:
            case "away":
                return Trouble(self._another(base_url=f"http://127.0.0.1:{free_port()}/v1"), self.request)
            case "refused":
                return Trouble(self.model, refused)
            case "wrong key":
                return Trouble(self._another(api_key=SecretStr(KEY_CANARY)), self.request)
            case "late":
                self.double.hang()
                return Trouble(self.model, self.request, SHORT_SECONDS)
            case "trickles":
                self.double.trickles()
                return Trouble(self.model, self.request, SHORT_SECONDS)
            case mood:
                getattr(self.double, mood)()
                return Trouble(self.model, self.request)

    def _another(self, **changes) -> ImageModel:
        model = an_openai_model(self.double, **changes)
        self.opened.append(model)
        return model


def an_openai_model(double: OpenAIImagesDouble, **changes) -> OpenAIImageModel:
    settings = {
        "base_url": double.base_url,
        "api_key": SecretStr(double.api_key),
        "fetch": downloaded,
        "read_picture": decoded,
        **changes,
    }
    return OpenAIImageModel(**settings)


def a_render(**changes) -> RenderRequest:
    values = {
        "model": "in-memory",
        "prompt": CANARY,
        "negative_prompt": f"{CANARY} blurred",
        "seed": 7,
        "size": Dimensions(width=256, height=192),
        "steps": 4,
        "guidance_scale": 7.0,
    }
    return RenderRequest(**{**values, **changes})


def an_unseeded_render(**changes) -> RenderRequest:
    size = Dimensions(width=1024, height=1024)
    return a_render(**{"model": GPT_MODEL, "negative_prompt": "", "size": size, **changes})


@pytest.fixture(scope="module")
def double_at_work() -> Iterator[OpenAIImagesDouble]:
    with an_openai_images_double() as double:
        yield double


MODELS = ["memory", "triton", "openai", "openai-compatible"]


@pytest.fixture(params=MODELS)
def surroundings(request: pytest.FixtureRequest) -> Callable[[], Subject]:
    """What an implementation needs around it, started before there is a loop, and how to make one in it."""
    if request.param == "memory":
        return InMemory.made
    if request.param == "triton":
        return partial(Triton.made, request.getfixturevalue("triton").address)
    double: OpenAIImagesDouble = request.getfixturevalue("double_at_work")
    double.reset()
    if request.param == "openai":
        return partial(OpenAI.made, double)
    return partial(OpenAI.made, double, model=OTHER_MODEL, size=Dimensions(width=256, height=192))


@pytest.fixture
async def subject(surroundings: Callable[[], Subject]) -> AsyncIterator[Subject]:
    made = surroundings()
    yield made
    for model in (made.model, *made.opened):
        await model.close()


async def rendered(subject: Subject, **changes):
    return await subject.model.render(replace(subject.request, **changes), Steps(), deadline_seconds=AMPLE_SECONDS)


async def test_a_picture_has_the_size_asked_for_and_three_bytes_for_each_pixel(subject: Subject):
    picture = await rendered(subject)

    size = subject.request.size
    assert picture.size == size
    assert len(picture.pixels) == size.width * size.height * 3


async def test_a_picture_says_what_made_it(subject: Subject):
    assert (await rendered(subject)).fingerprint


async def test_steps_are_told_in_order_and_the_last_one_is_the_last(subject: Subject):
    steps = Steps()

    await subject.model.render(subject.request, steps, deadline_seconds=AMPLE_SECONDS)

    assert steps == sorted(steps)
    assert len({of for _, of in steps}) == 1
    assert steps[-1][0] == steps[-1][1]


async def test_equal_requests_give_equal_pictures_unless_the_fingerprint_says_unseeded(subject: Subject):
    first, again = [await rendered(subject) for _ in range(2)]

    assert first.fingerprint == again.fingerprint
    assert (first.pixels == again.pixels) != ("unseeded" in first.fingerprint)


async def test_another_seed_gives_another_picture(subject: Subject):
    first, other = [await rendered(subject, seed=seed) for seed in (7, 8)]

    assert first.pixels != other.pixels


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
async def test_a_prompt_reaches_the_model_byte_for_byte(subject: Subject, prompt: str):
    await rendered(subject, prompt=prompt)

    assert subject.heard() in {prompt, None}


@pytest.mark.parametrize("other", ["a lighthouse ", "a lighthouse\n", "a lighthous\u0435", "A lighthouse"])
async def test_prompts_that_differ_in_one_character_are_two_prompts(subject: Subject, other: str):
    one, two = [await rendered(subject, prompt=prompt) for prompt in ("a lighthouse", other)]

    assert one.pixels != two.pixels


async def test_calls_at_once_get_each_their_own_picture(subject: Subject):
    sizes = [subject.request.size, Dimensions(width=subject.request.size.height, height=subject.request.size.width)]

    pictures = await asyncio.gather(*(rendered(subject, size=size) for size in sizes * 2))

    assert [picture.size for picture in pictures] == sizes * 2


async def test_a_cancelled_call_ends_as_cancelled_and_its_work_stops(subject: Subject):
    steps = Steps()
    call = asyncio.create_task(subject.model.render(subject.lets_calls_wait(), steps, deadline_seconds=AMPLE_SECONDS))
    await subject.is_at_work(steps)

    call.cancel()
    await asyncio.wait([call])

    assert call.cancelled()
    await subject.has_stopped()


async def test_a_model_may_be_closed_before_its_first_call_and_twice(subject: Subject):
    await subject.model.close()
    await subject.model.close()


FAULTS: list[tuple[str, str, type[ChassisError]]] = [
    ("memory", "away", ModelUnavailable),
    ("memory", "queue full", QueueFull),
    ("triton", "away", ModelUnavailable),
    ("triton", "not loaded", ModelUnavailable),
    ("triton", "late", ModelTimedOut),
    ("triton", "refused", ModelRefused),
    *(
        (name, fault, meaning)
        for name in ("openai", "openai-compatible")
        for fault, meaning in {
            "away": ModelUnavailable,
            "late": ModelTimedOut,
            "trickles": ModelTimedOut,
            "drops": ModelTimedOut,
            "refused": ModelRefused,
            "blocked": ContentFiltered,
            "against_the_policy": ContentFiltered,
            "rate_limited": ProviderBusy,
            "overloaded": ProviderBusy,
            "out_of_quota": ProviderQuotaSpent,
            "at_its_billing_limit": ProviderQuotaSpent,
            "wrong key": ProviderMisconfigured,
            "unknown_model": ProviderMisconfigured,
            "broken": ModelFailed,
            "malformed": ModelFailed,
            "speaks_html": ModelFailed,
            "lists_nothing": ModelFailed,
            "lists_null": ModelFailed,
            "lists_an_empty_entry": ModelFailed,
            "bad_base64": ModelFailed,
            "loses_the_picture": ModelFailed,
            "wrong_size": ModelFailed,
            "not_a_picture": ModelFailed,
        }.items()
    ),
]


@pytest.mark.parametrize(
    ("surroundings", "fault", "meaning"),
    FAULTS,
    ids=[f"{name}: {fault}" for name, fault, _ in FAULTS],
    indirect=["surroundings"],
)
async def test_every_fault_has_one_meaning_and_a_sentence_that_holds_neither_prompt_nor_key(
    subject: Subject, fault: str, meaning: type[ChassisError]
):
    trouble = subject.meets(fault)

    with pytest.raises(ChassisError) as caught:
        await trouble.model.render(trouble.request, Steps(), deadline_seconds=trouble.deadline_seconds)

    assert isinstance(caught.value, meaning)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    for secret in (CANARY, KEY_CANARY, "sk-double"):
        assert secret not in told
    assert " " in str(caught.value)


@pytest.mark.parametrize(
    ("surroundings", "fault"),
    [("triton", "refused"), ("openai", "broken"), ("openai", "drops"), ("openai", "late")],
    indirect=["surroundings"],
)
async def test_a_model_that_failed_is_called_again_as_if_nothing_had_been(subject: Subject, fault: str):
    trouble = subject.meets(fault)
    with pytest.raises(ChassisError):
        await trouble.model.render(trouble.request, Steps(), deadline_seconds=trouble.deadline_seconds)
    if isinstance(subject, OpenAI):
        subject.double.behaves()

    picture = await rendered(subject)

    assert picture.size == subject.request.size
