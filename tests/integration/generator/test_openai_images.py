"""What is particular to pictures by OpenAI's images API, against a double of it over real HTTP."""

import asyncio
import hashlib
import io
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from imagetron_chassis.errors import ChassisError, Permanent
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.openai_images import OpenAIImageModel
from imagetron_generator.adapters.openai_images_errors import refusal, retry_after_seconds
from imagetron_generator.adapters.openai_images_png import png
from imagetron_generator.adapters.openai_images_sizes import objection_to
from imagetron_generator.domain.renders import RenderRequest, SourcePicture
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
)
from support.eventually import eventually
from support.openai_images_double import (
    GPT_MODEL,
    OTHER_MODEL,
    OpenAIImagesDouble,
    an_openai_images_double,
    decoded,
    downloaded,
    png_of,
)

CANARY = "the violet heron of Quillmore"
AMPLE_SECONDS = 30
NOW = 1_800_000_000.0
SQUARE = Dimensions(width=1024, height=1024)


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIImagesDouble]:
    with an_openai_images_double() as double:
        yield double


@pytest.fixture
def double(running: OpenAIImagesDouble) -> OpenAIImagesDouble:
    running.reset()
    return running


@asynccontextmanager
async def a_model(double: OpenAIImagesDouble, **changes) -> AsyncIterator[OpenAIImageModel]:
    settings = {
        "base_url": double.base_url,
        "api_key": SecretStr(double.api_key),
        "fetch": downloaded,
        "read_picture": decoded,
        **changes,
    }
    opened = OpenAIImageModel(**settings)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def model(double) -> AsyncIterator[OpenAIImageModel]:
    async with a_model(double) as opened:
        yield opened


def a_render(**changes) -> RenderRequest:
    values = {
        "model": GPT_MODEL,
        "prompt": CANARY,
        "negative_prompt": "",
        "seed": 7,
        "size": SQUARE,
        "steps": 30,
        "guidance_scale": 7.0,
    }
    return RenderRequest(**{**values, **changes})


def a_source(width: int = 61, height: int = 47) -> SourcePicture:
    pixels = hashlib.shake_128(b"a source").digest(width * height * 3)
    return SourcePicture(pixels, Dimensions(width=width, height=height))


def a_variation(**changes) -> RenderRequest:
    return a_render(**{"verb": Verb.VARY, "source": a_source(), "strength": 0.4, **changes})


async def rendered(model: OpenAIImageModel, request: RenderRequest | None = None):
    return await model.render(request or a_render(), lambda *_: None, deadline_seconds=AMPLE_SECONDS)


async def failed(model: OpenAIImageModel, request: RenderRequest | None = None, seconds: float = AMPLE_SECONDS):
    with pytest.raises(ChassisError) as caught:
        await model.render(request or a_render(), lambda *_: None, deadline_seconds=seconds)
    return caught.value


class TestWhatIsSent:
    async def test_a_prompt_goes_with_the_size_and_without_what_the_api_does_not_know(self, double, model):
        await rendered(model)

        assert double.requests[0].fields == {
            "prompt": CANARY,
            "model": GPT_MODEL,
            "n": 1,
            "size": "1024x1024",
            "background": "opaque",
        }

    async def test_a_compatible_server_is_sent_nothing_of_openai_alone(self, double, model):
        await rendered(model, a_render(model=OTHER_MODEL))

        assert set(double.requests[0].fields) == {"prompt", "model", "n", "size"}

    async def test_a_quality_is_sent_if_it_is_set(self, double):
        async with a_model(double, quality="low") as model:
            await rendered(model)

        assert double.requests[0].fields["quality"] == "low"

    async def test_a_server_that_has_its_own_name_for_the_model_is_told_that_one(self, double):
        async with a_model(double, model=OTHER_MODEL) as model:
            picture = await rendered(model, a_render(model="photorealistic"))

        assert double.requests[0].model == OTHER_MODEL
        assert picture.fingerprint == f"openai {OTHER_MODEL} unseeded"

    @pytest.mark.parametrize("verb", [Verb.IMAGINE, Verb.REROLL])
    async def test_pictures_of_a_prompt_are_generated(self, double, model, verb):
        await rendered(model, a_render(verb=verb))

        assert double.requests[0].path == "/v1/images/generations"

    @pytest.mark.parametrize("name", [GPT_MODEL, OTHER_MODEL])
    async def test_a_variation_is_an_edit_of_its_source_and_has_the_size_asked_for(self, double, model, name):
        picture = await rendered(model, a_variation(model=name))

        asked = double.requests[0]
        assert (asked.path, asked.prompt) == ("/v1/images/edits", CANARY)
        assert await decoded(asked.files["image"]) == a_source()
        assert "strength" not in asked.fields
        assert picture.size == SQUARE

    @pytest.mark.parametrize("prompt", ["by night\r\nin a storm\n\rover rocks \n", "\u05de\u05d2\u05d3 \U0001f3e0\0"])
    async def test_the_prompt_of_an_edit_goes_byte_for_byte_too(self, double, model, prompt):
        await rendered(model, a_variation(prompt=prompt))

        assert double.requests[0].prompt == prompt

    async def test_nothing_of_the_environment_goes_along(self, double, monkeypatch):
        proxy = "http://127.0.0.1:9"
        for name, value in {
            "OPENAI_API_KEY": "sk-of-the-environment",
            "OPENAI_ADMIN_KEY": "sk-admin",
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "OPENAI_ORG_ID": "org-of-the-environment",
            "OPENAI_PROJECT_ID": "proj-of-the-environment",
            "OPENAI_CUSTOM_HEADERS": "X-Leak: yes\nAuthorization: Bearer sk-of-the-environment",
            "HTTP_PROXY": proxy,
            "http_proxy": proxy,
            "ALL_PROXY": proxy,
        }.items():
            monkeypatch.setenv(name, value)

        async with a_model(double) as model:
            await rendered(model)

        headers = double.requests[0].headers
        assert headers["authorization"] == f"Bearer {double.api_key}"
        assert "of-the-environment" not in repr(headers)
        assert {name for name in headers if name.startswith(("openai-", "x-leak"))} == set()

    def test_no_key_is_noticed_at_once(self, double):
        with pytest.raises(ValueError, match="API key for the images API is empty"):
            OpenAIImageModel(double.base_url, SecretStr(""), fetch=downloaded, read_picture=decoded)


class TestWhatComesBack:
    async def test_a_picture_is_what_was_painted(self, double):
        async with a_model(double, form="b64_json") as model:
            picture = await rendered(model, a_render(model=OTHER_MODEL, size=Dimensions(width=5, height=3)))

        assert len({picture.pixels[i : i + 3] for i in range(0, 45, 3)}) == 1
        assert double.downloads == []

    async def test_a_picture_behind_an_address_is_fetched(self, double):
        async with a_model(double, form="url") as model:
            picture = await rendered(model, a_render(model=OTHER_MODEL))

        assert picture.size == SQUARE
        assert double.downloads == ["/files/0.png"]

    async def test_the_answer_is_kept_as_a_digest_of_its_bytes(self, double, model):
        picture = await rendered(model)

        assert picture.answer_digest == hashlib.sha256(double.calls[0].body).hexdigest()
        assert picture.gpu_seconds is None

    async def test_the_fingerprint_names_the_model_and_the_quality(self, double):
        async with a_model(double, quality="high") as model:
            picture = await rendered(model)

        assert picture.fingerprint == f"openai {GPT_MODEL} high unseeded"

    async def test_progress_is_begun_and_done(self, model):
        steps = []

        await model.render(a_render(), lambda *step: steps.append(step), deadline_seconds=AMPLE_SECONDS)

        assert steps == [(0, 1), (1, 1)]

    async def test_progress_of_a_call_that_fails_is_never_done(self, double, model):
        double.broken()
        steps = []

        with pytest.raises(ModelFailed):
            await model.render(a_render(), lambda *step: steps.append(step), deadline_seconds=AMPLE_SECONDS)

        assert steps == [(0, 1)]

    async def test_another_size_than_was_asked_for_is_named(self, double, model):
        double.wrong_size()

        assert "asked for 1024x1024 and answered with 64x48" in str(await failed(model))

    @pytest.mark.parametrize(
        ("mood", "named"),
        [
            ("malformed", "something else than a list of pictures"),
            ("lists_nothing", "an empty list"),
            ("lists_null", "an empty list"),
            ("lists_an_empty_entry", "neither a picture nor its address"),
            ("bad_base64", "broken base64"),
            ("not_a_picture", "no picture that we can read"),
        ],
    )
    async def test_an_answer_without_a_picture_says_what_it_is_instead(self, double, model, mood, named):
        getattr(double, mood)()

        error = await failed(model)

        assert named in str(error)
        assert_tells_nothing(error, double)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"negative_prompt": CANARY}, "negative prompt"),
            ({"size": Dimensions(width=1024, height=1000)}, "multiples of 16"),
            ({"verb": Verb.UPSCALE, "source": a_source()}, "does not upscale"),
            ({"verb": Verb.VARY}, "needs the picture"),
        ],
    )
    async def test_what_the_api_cannot_do_is_refused_before_it_costs_anything(self, double, model, changes, named):
        error = await failed(model, a_render(**changes))

        assert type(error) is ModelRefused
        assert named in str(error)
        assert double.requests == []
        assert_tells_nothing(error, double)

    async def test_what_only_the_server_knows_is_its_to_refuse(self, double, model):
        error = await failed(model, a_render(prompt=CANARY * 2000))

        assert type(error) is ModelRefused
        assert "HTTP 400, string_above_max_length, request req_double" in str(error)
        assert double.paid == []

    async def test_a_prompt_that_cannot_be_sent_is_refused(self, double, model):
        error = await failed(model, a_render(prompt=f"{CANARY}\ud800"))

        assert type(error) is ModelRefused
        assert_tells_nothing(error, double)

    @pytest.mark.parametrize("verb", ["generated", "edited"])
    @pytest.mark.parametrize("mood", ["blocked", "against_the_policy"])
    async def test_a_withheld_picture_is_told_as_such_and_costs_nothing(self, double, model, mood, verb):
        getattr(double, mood)()

        error = await failed(model, a_render() if verb == "generated" else a_variation())

        assert type(error) is ContentFiltered
        assert double.paid == []
        assert_tells_nothing(error, double)


class TestWhatItCosts:
    async def test_one_picture_is_one_paid_call(self, double, model):
        await rendered(model)

        assert len(double.requests) == len(double.paid) == 1

    @pytest.mark.parametrize(
        "mood",
        ["broken", "drops", "malformed", "lists_nothing", "bad_base64", "wrong_size", "not_a_picture", "rate_limited"],
    )
    async def test_a_call_that_failed_is_not_made_again(self, double, model, mood):
        getattr(double, mood)()

        await failed(model)

        assert len(double.requests) == 1

    async def test_a_lost_picture_is_not_painted_again(self, double, model):
        double.loses_the_picture()

        error = await failed(model)

        assert type(error) is ModelFailed
        assert "could not be fetched (Transient)" in str(error)
        assert len(double.paid) == 1
        assert_tells_nothing(error, double, "sig=secret")

    async def test_what_the_reader_does_not_take_is_no_picture(self, double):
        async def refuse(data: bytes) -> SourcePicture:
            raise Permanent(f"{CANARY}: {len(data)} bytes")

        async with a_model(double, read_picture=refuse) as model:
            error = await failed(model)

        assert type(error) is ModelFailed
        assert "no picture that we can read (Permanent)" in str(error)
        assert_tells_nothing(error, double)


class TestTheDeadline:
    @pytest.mark.parametrize("slow", ["fetch", "read_picture"])
    async def test_it_counts_what_comes_after_the_answer_too(self, double, slow):
        async def never(_: Any) -> Any:
            await asyncio.Event().wait()

        async with a_model(double, **{slow: never}) as model:
            error = await failed(model, a_render(model=OTHER_MODEL), seconds=3)

        assert type(error) is ModelTimedOut
        assert len(double.paid) == 1

    async def test_one_call_that_hangs_does_not_hold_up_the_others(self, double, model):
        double.hang(times=1)
        hanging = asyncio.create_task(rendered(model))
        await eventually(lambda: double.calls)

        pictures = await asyncio.gather(*(rendered(model) for _ in range(4)))

        assert len({picture.pixels for picture in pictures}) == 4
        hanging.cancel()
        await asyncio.wait([hanging])


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "kind", "meaning"),
        [
            (429, "rate_limit_exceeded", "requests", ProviderBusy),
            (429, None, "tokens", ProviderBusy),
            (429, "slow_down", "rate_limit_error", ProviderBusy),
            (503, "slow_down", "service_unavailable_error", ProviderBusy),
            (503, "server_is_overloaded", None, ProviderBusy),
            (429, "insufficient_quota", "insufficient_quota", ProviderQuotaSpent),
            (429, "project_spend_limit_exceeded", "insufficient_quota", ProviderQuotaSpent),
            (429, "organization_usage_limit_exceeded", None, ProviderQuotaSpent),
            (429, "credit_balance_exhausted", None, ProviderQuotaSpent),
            (400, "billing_hard_limit_reached", "invalid_request_error", ProviderQuotaSpent),
            (402, None, None, ProviderQuotaSpent),
            (400, "moderation_blocked", "image_generation_user_error", ContentFiltered),
            (400, "content_policy_violation", "invalid_request_error", ContentFiltered),
            (400, "content_filter", None, ContentFiltered),
            (422, "content_policy_violation", None, ContentFiltered),
            (403, "content_policy_violation", None, ContentFiltered),
            (401, "invalid_api_key", "invalid_request_error", ProviderMisconfigured),
            (403, "unsupported_country_region_territory", None, ProviderMisconfigured),
            (404, "model_not_found", "invalid_request_error", ProviderMisconfigured),
            (302, None, None, ProviderMisconfigured),
            (400, "invalid_image_file", "image_generation_user_error", ModelRefused),
            (400, "unknown_parameter", "invalid_request_error", ModelRefused),
            (413, None, None, ModelRefused),
            (422, None, None, ModelRefused),
            (408, None, None, ModelUnavailable),
            (409, None, None, ModelUnavailable),
            (500, None, "server_error", ModelFailed),
            (502, None, None, ModelFailed),
            (503, None, None, ModelFailed),
            (504, None, None, ModelFailed),
            (529, None, None, ModelFailed),
        ],
    )
    def test_every_refusal_has_one_meaning(self, status, code, kind, meaning):
        assert type(refused(status, code, kind)) is meaning

    @pytest.mark.parametrize(
        ("status", "setting"), [(401, "API key"), (403, "API key"), (404, "base URL"), (404, "name"), (302, "base URL")]
    )
    def test_a_wrong_setting_is_named(self, status, setting):
        assert setting in str(refused(status))

    @pytest.mark.parametrize("word", [CANARY, "A" * 10, "a" * 61, 7])
    def test_a_code_that_has_room_for_a_sentence_is_not_repeated(self, word):
        assert str(word) not in str(refused(400, word))

    def test_a_request_id_is_told_unless_it_has_room_for_a_sentence(self):
        assert "request req_0123" in str(refused(500, headers={"x-request-id": "req_0123"}))
        assert CANARY not in str(refused(500, headers={"x-request-id": CANARY}))

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": "7"}, 7),
            ({"retry-after": "1.5"}, 1.5),
            ({"retry-after-ms": "250"}, 0.25),
            ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
            ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
            ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
            ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
            ({"retry-after": "-7"}, None),
            ({"retry-after": "nan"}, None),
            ({"retry-after": "inf"}, None),
            ({"retry-after": "soon"}, None),
        ],
    )
    def test_a_pause_is_read_in_every_form(self, headers, seconds):
        assert retry_after_seconds(headers, now=NOW) == seconds

    @pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
    async def test_the_pause_that_the_server_wants_is_passed_on(self, double, model, form):
        double.rate_limited(3600, form=form)

        error = await failed(model)

        assert isinstance(error, ProviderBusy)
        assert error.retry_after_seconds == pytest.approx(3600, abs=60)

    async def test_a_server_that_wants_no_particular_pause_is_given_none(self, double, model):
        double.rate_limited(None)

        error = await failed(model)

        assert isinstance(error, ProviderBusy)
        assert error.retry_after_seconds is None

    async def test_a_redirect_is_not_followed(self, double, model):
        with an_openai_images_double() as other:
            double.sends_elsewhere(f"{other.base_url}/images/generations")

            error = await failed(model)

            assert other.requests == []
        assert type(error) is ProviderMisconfigured

    @pytest.mark.parametrize("key", ["sk-two\nlines", "sk-schl\u00fcssel"])
    async def test_a_key_that_cannot_be_sent_is_not_told(self, double, key):
        async with a_model(double, api_key=SecretStr(key)) as model:
            error = await failed(model)

        assert "API key" in str(error)
        assert_tells_nothing(error, double, key)

    async def test_a_server_without_an_address_may_come(self, double):
        async with a_model(double, base_url="http://images.invalid/v1") as model:
            error = await failed(model)

        assert type(error) is ModelUnavailable
        assert "images.invalid" not in str(error)

    @pytest.mark.parametrize("base_url", ["ftp://127.0.0.1/v1", "127.0.0.1/v1"])
    async def test_an_address_that_is_none_is_a_wrong_setting(self, double, base_url):
        async with a_model(double, base_url=base_url) as model:
            error = await failed(model)

        assert type(error) is ProviderMisconfigured
        assert "base URL" in str(error)


def refused(status, code=None, kind=None, headers=None):
    return refusal(status, (code, kind), headers or {}, GPT_MODEL, now=NOW)


class TestSizes:
    @pytest.mark.parametrize(
        ("model", "width", "height", "is_taken"),
        [
            ("gpt-image-2", 1024, 1024, True),
            ("gpt-image-2-2026-04-21", 1536, 864, True),
            ("gpt-image-2.5-flare", 2048, 1152, True),
            ("gpt-image-2.6-sunburst", 864, 1536, True),
            ("gpt-image-2", 3840, 2160, True),
            ("gpt-image-2", 1920, 1080, False),
            ("gpt-image-2", 3856, 2048, False),
            ("gpt-image-2", 2064, 672, False),
            ("gpt-image-2", 2016, 672, True),
            ("gpt-image-2", 768, 768, False),
            ("gpt-image-2", 640, 1024, True),
            ("gpt-image-2", 3840, 2176, False),
            ("gpt-image-1.5", 1536, 1024, True),
            ("gpt-image-1.5", 1024, 1536, True),
            ("gpt-image-1-mini", 1024, 1024, True),
            ("gpt-image-1-mini", 1536, 864, False),
            ("chatgpt-image-latest", 1536, 864, False),
            ("gpt-image-10", 5, 5, True),
            (OTHER_MODEL, 5, 5, True),
        ],
    )
    def test_each_model_takes_its_own(self, model, width, height, is_taken):
        assert (objection_to(Dimensions(width=width, height=height), model) is None) is is_taken

    @pytest.mark.parametrize("size", [(1024, 1024), (1536, 864), (1088, 1920), (1920, 1080), (768, 768), (2064, 672)])
    @pytest.mark.parametrize("name", ["gpt-image-1.5", "gpt-image-2"])
    async def test_the_double_takes_the_same(self, double, size, name):
        answer = await spoken_by(double, {"prompt": "x", "model": name, "size": f"{size[0]}x{size[1]}"})

        objection = objection_to(Dimensions(width=size[0], height=size[1]), name)
        assert (answer.status_code == 200) is (objection is None)


@pytest.mark.parametrize("size", [(1, 1), (61, 47), (1024, 768)])
def test_a_source_is_written_as_a_png_that_others_read(size):
    source = a_source(*size)

    with Image.open(io.BytesIO(png(source))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", size)
        assert image.tobytes() == source.pixels


class TestTheDouble:
    """What the tests above lean on."""

    async def test_it_speaks_as_the_api_does(self, double):
        answer = await spoken_by(double, {"prompt": "a lighthouse", "model": GPT_MODEL, "size": "1536x864"})

        told = answer.json()
        assert (answer.status_code, told["size"], told["output_format"]) == (200, "1536x864", "png")
        assert set(told["data"][0]) == {"b64_json"}
        assert told["usage"]["total_tokens"] == told["usage"]["input_tokens"] + told["usage"]["output_tokens"]
        assert answer.headers["x-request-id"].startswith("req_")

    async def test_it_wants_its_key(self, double):
        answer = await spoken_by(double, {"prompt": "x", "model": GPT_MODEL}, key="sk-mistyped")

        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")

    async def test_its_errors_quote_the_prompt(self, double):
        double.blocked()

        answer = await spoken_by(double, {"prompt": CANARY, "model": GPT_MODEL})

        assert CANARY in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"model": None}, "model"),
            ({"prompt": ""}, "prompt"),
            ({"n": 11}, "n"),
            ({"size": "large"}, "size"),
            ({"quality": "max"}, "quality"),
            ({"background": "blue"}, "background"),
            ({"response_format": "url"}, "response_format"),
            ({"seed": 7}, "seed"),
            ({"negative_prompt": "blurred"}, "negative_prompt"),
        ],
    )
    async def test_it_refuses_a_request_that_is_not_well_formed(self, double, changes, param):
        answer = await spoken_by(double, {"prompt": "x", "model": GPT_MODEL, **changes})

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert double.paid == []

    @pytest.mark.parametrize("source", [{}, {"image": b"no picture"}, {"picture": png_of((8, 8), b"red")}])
    async def test_it_edits_pictures_alone(self, double, source):
        headers = {"authorization": f"Bearer {double.api_key}"}
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"{double.base_url}/images/edits",
                data={"prompt": "x", "model": GPT_MODEL},
                files=source or {"none": b""},
                headers=headers,
            )

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")

    async def test_its_script_runs_out_into_good_answers(self, double):
        double.broken(500, times=1)
        double.out_of_quota(times=2)

        answers = [await spoken_by(double, {"prompt": "x", "model": GPT_MODEL}) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [500, 429, 429, 200]
        assert [call.status for call in double.paid] == [500, 200]


def assert_tells_nothing(error: BaseException, double: OpenAIImagesDouble, *secrets: str) -> None:
    """Neither the error nor anything that hangs on it, down the chain that a log or a tracer may follow."""
    assert error.__cause__ is None
    assert error.__context__ is None
    told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(error.args)
    for secret in (CANARY, double.api_key, *secrets):
        assert secret not in told


async def spoken_by(double: OpenAIImagesDouble, request: dict[str, Any], key: str = "") -> httpx.Response:
    """What the double says to somebody who reads it."""
    headers = {"authorization": f"Bearer {key or double.api_key}"}
    async with httpx.AsyncClient() as http:
        return await http.post(f"{double.base_url}/images/generations", json=request, headers=headers)
