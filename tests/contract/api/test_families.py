"""A table of families of the operator's own, as callers meet it; and jobs that were made with a table that holds no more."""

from typing import Any

import pytest

from contract.api.counter import VARIATIONS, Counter, opened, pointers, the_problem
from contract.api.test_images import derived, spec_of, uploaded
from contract.api.test_prompts import PROMPT
from imagetron_contracts import rpc
from imagetron_contracts.families import BUILT_IN_TABLE, Derivative, Family, FamilyTable
from imagetron_contracts.media import Dimensions
from imagetron_gateway.domain.image_ids import image_id
from imagetron_gateway.domain.job import Job
from imagetron_gateway.domain.naming import job_id_of
from support.builders import a_model_health, a_variation_request, stage_failed

PIN = Family(
    name="pin",
    ratio="2:3",
    master=Dimensions(width=1000, height=1500),
    derivatives=(Derivative(name="small", size=Dimensions(width=500, height=750)),),
    aliases=("pinterest",),
)
BANNER = Family(name="banner", ratio="16:7", master=Dimensions(width=1600, height=700), derivatives=())
EXECUTE = "/image/execute-prompt"
OWN = FamilyTable(families=(PIN, BANNER))


@pytest.fixture
async def own():
    """A counter whose table is the operator's own."""
    async with opened(Counter(table=OWN)) as counter:
        await counter.report(a_model_health("preview"))
        yield counter


async def asked(counter: Counter, *families: str, **fields: Any) -> Job:
    answer = await counter.submit(a_variation_request(families=list(families), **fields))
    assert answer.status_code == 202, answer.text
    return await counter.job(answer.json()["id"])


async def made(counter: Counter) -> str:
    """The id of a published image of the family pin."""
    job = await asked(counter, "pin")
    await counter.publish(job.id)
    return image_id(job.id, 1, "pin", 0)


async def files_of(counter: Counter, job: Job) -> dict[str, dict[str, str]]:
    """Family -> name -> size, as the workers are told."""
    spec = await spec_of(counter, job)
    return {name: {file.name: str(file.size) for file in family.files} for name, family in spec.families.items()}


async def test_the_table_is_there_to_be_read(own):
    assert (await own.get("/api/images/families")).json() == {
        "items": [
            {
                "name": "pin",
                "aliases": ["pinterest"],
                "ratio": "2:3",
                "master": {"width": 1000, "height": 1500},
                "derivatives": [{"name": "small", "size": {"width": 500, "height": 750}}],
            },
            {
                "name": "banner",
                "aliases": [],
                "ratio": "16:7",
                "master": {"width": 1600, "height": 700},
                "derivatives": [],
            },
        ],
        "next": None,
    }


async def test_without_another_one_the_built_in_table_holds(counter):
    shown = (await counter.get("/api/images/families")).json()["items"]

    assert [family["name"] for family in shown] == list(BUILT_IN_TABLE.names)


async def test_a_family_of_the_table_is_made_and_served_by_its_names(own):
    job = await asked(own, "pinterest", "banner")
    assert await files_of(own, job) == {
        "pin": {"pin": "1000x1500", "small": "500x750"},
        "banner": {"banner": "1600x700"},
    }

    await own.publish(job.id)

    for name, digest in {
        "pin": "pin-pin",
        "pinterest": "pin-pin",
        "small": "pin-small",
        "pin.small": "pin-small",
    }.items():
        answer = await own.get(f"/api/images/{job.name}/{name}")
        assert (answer.status_code, answer.headers.get("ETag")) == (200, f'"{digest}-0-r1"')


@pytest.mark.parametrize(
    ("families", "pointer", "detail"),
    [
        (["pin", "square"], "/families/1", "unknown family 'square': use one of pin, banner"),
        (["pin", "banner", "pin"], "/families", "names 3 families; there are 2"),
        (["pin", "pinterest"], "/families", "named twice (aliases count): pin"),
        (["pin"] * 41, "/families", "names 41 families; no table has more than 40"),
    ],
)
async def test_what_is_no_family_of_the_table_is_refused_with_those_that_are(own, families, pointer, detail):
    problem = the_problem(await own.submit(a_variation_request(families=families)), 422, "invalid-request")

    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]
    assert await own.stored() == 0


async def test_whichever_of_its_names_a_family_is_given_the_request_is_the_same(own):
    first, second = [
        await own.submit(a_variation_request(families=[name]), Idempotency_Key="k") for name in ("pin", "pinterest")
    ]

    assert (second.status_code, second.json()["id"]) == (202, first.json()["id"])


async def test_who_names_no_family_gets_the_first_of_a_table_without_squares(own):
    own.prompts.answer(rpc.GetPrompt, rpc.PromptShown(prompt=PROMPT))
    imagined = (await own.submit({"promptId": "prompt-1"}, "/api/images/imagine")).json()["id"]
    executed = await own.submit({"intent": "a", "rawPrompt": "b", "finalPrompt": "a red pin", "imageCount": 2}, EXECUTE)
    varied = await derived(own, await uploaded(own), "vary", prompt="a red pin")

    pipeline_id = executed.json()["jobId"]
    job = await own.job(job_id_of(pipeline_id))
    assert list((await own.job(imagined)).families) == list(job.families) == list(varied.families) == ["pin"]
    await own.publish(job.id)
    assert len((await own.get(f"/image/job-status/{pipeline_id}")).json()["cdnUrls"]) == 1


async def test_more_files_of_a_family_than_a_message_can_tell_of_are_refused():
    largest = FamilyTable(
        families=(PIN.model_copy(update={"derivatives": tuple(_cut(number) for number in range(19))}),)
    )
    async with opened(Counter(table=largest)) as counter:
        counter.prompts.answer(rpc.GetPrompt, rpc.PromptShown(prompt=PROMPT))
        body = {"promptId": "prompt-1", "images": 3, "output": {"formats": ["webp", "avif"]}}
        problem = the_problem(await counter.submit(body, "/api/images/imagine"), 422, "invalid-request")

        assert pointers(problem) == ["/images"]
        assert "are 120 files of pin, which has 20 sizes; at most 100" in problem["errors"][0]["detail"]
        assert await counter.stored() == 0


def _cut(number: int) -> Derivative:
    return Derivative(name=f"d{number}", size=Dimensions(width=100, height=150))


async def test_a_job_of_a_table_that_holds_no_more_is_shown_and_served_as_before(own):
    job = await asked(own, "pin")
    await own.publish(job.id)
    own.restart(BUILT_IN_TABLE)

    shown = (await own.get(f"{VARIATIONS}/{job.id}")).json()
    assert [file["name"] for file in shown["derivatives"]] == ["pin", "small"]
    for name in ("pin", "pinterest", "small", "pinterest.small"):
        assert (await own.get(f"/api/images/{job.name}/{name}")).status_code == 200
    the_problem(await own.get(f"/api/images/{job.name}/square"), 404)


async def test_a_job_of_a_table_that_holds_no_more_is_made_again_with_all_its_files(own):
    job = await asked(own, "pin")
    await own.publish(job.id)
    own.restart(BUILT_IN_TABLE)

    again = await own.client.post(f"{VARIATIONS}/{job.id}/regenerate")
    replay = await own.client.post(f"/api/jobs/{job.id}/replay")

    for answer in (again, replay):
        assert answer.status_code == 202, answer.text
        assert await files_of(own, await own.job(answer.json()["id"])) == {
            "pin": {"pin": "1000x1500", "small": "500x750"}
        }


@pytest.mark.parametrize("name", ["pin", "pinterest"])
async def test_a_family_of_a_table_that_holds_no_more_is_retried_by_its_names(own, name):
    job = await asked(own, "pin", "banner")
    await own.play(job.id, stage_failed(job, "pin"), stage_failed(job, "banner"))
    own.restart(BUILT_IN_TABLE)

    unknown = await own.client.post(f"/api/jobs/{job.id}/retry", json={"families": [name, "round"]})
    answer = await own.client.post(f"/api/jobs/{job.id}/retry", json={"families": [name]})

    assert pointers(the_problem(unknown, 422)) == ["/families/1"]
    assert answer.status_code == 202, answer.text
    assert {name: family.attempt for name, family in (await own.job(job.id)).families.items()} == {
        "pin": 2,
        "banner": 1,
    }


async def test_a_familys_name_in_the_job_goes_before_what_the_word_means_by_now(own):
    job = await asked(own, "pin", "banner")
    await own.play(job.id, stage_failed(job, "pin"), stage_failed(job, "banner"))
    own.restart(FamilyTable(families=(PIN.model_copy(update={"name": "tall", "aliases": ("banner", "pin")}),)))

    answer = await own.client.post(f"/api/jobs/{job.id}/retry", json={"families": ["banner"]})

    assert answer.status_code == 202, answer.text
    assert (await own.job(job.id)).families["banner"].attempt == 2


async def test_a_retry_of_a_job_that_does_not_exist_is_not_found(counter):
    answer = await counter.client.post("/api/jobs/imgjob_" + "0" * 32 + "/retry", json={"families": ["square"]})

    the_problem(answer, 404)


@pytest.mark.parametrize("body", [{}, {"family": "pin"}])
async def test_an_image_of_a_table_that_holds_no_more_is_varied_in_its_own_shape(own, body):
    image = await made(own)
    own.restart(BUILT_IN_TABLE)

    assert await files_of(own, await derived(own, image, "vary", **body)) == {
        "pin": {"pin": "1000x1500", "small": "500x750"}
    }


async def test_an_image_of_a_table_that_holds_no_more_is_rerolled_and_upscaled_in_its_own_shape(own):
    image = await made(own)
    own.restart(BUILT_IN_TABLE)
    rerolled, upscaled = await derived(own, image, "reroll"), await derived(own, image, "upscale")

    assert await files_of(own, rerolled) == {"pin": {"pin": "1000x1500", "small": "500x750"}}
    assert await files_of(own, upscaled) == {"pin": {"pin": "2000x3000"}}


async def test_an_image_is_varied_in_another_shape_of_the_table_that_holds_now(own):
    image = await made(own)
    own.restart(BUILT_IN_TABLE)

    assert list((await derived(own, image, "vary", family="social")).families) == ["facebook-og"]
    for family in ("banner", ""):
        refused = the_problem(await own.submit({"family": family}, f"/api/images/{image}/vary"), 422)
        assert pointers(refused) == ["/family"]
        assert "use one of square, landscape" in refused["errors"][0]["detail"]
