"""A table of families of the operator's own: what its file may say, how it says what is wrong, and what a job keeps of it."""

import json

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.families import BUILT_IN_TABLE, FAMILIES, Derivative, Family, FamilyTable, UnknownFamily
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import RenderSpec, spec_key
from imagetron_gateway.adapters.catalogue import BUILT_IN, load_catalogue
from imagetron_gateway.adapters.families import WrongFamilies, load_families
from imagetron_gateway.adapters.specs import BlobSpecs
from imagetron_gateway.domain import commands
from imagetron_gateway.domain.families import (
    MAX_DERIVATIVES,
    MAX_FILES,
    MAX_PICTURES,
    objection_to_amount,
    objection_to_files,
    objection_to_ratio,
    objections_to_serving,
    ratio_of,
    remarks,
)
from imagetron_gateway.domain.job import JobStatus
from imagetron_gateway.domain.replaying import replayed
from support.builders import NOW, a_family, a_job, a_job_id
from unit.gateway.desks import Office

CATALOGUE = load_catalogue(BUILT_IN)
OWN = """
families:
  - name: pin
    master: 1000x1500
    ratio: "2:3"
    aliases: [pinterest, Story_1]
    derivatives:
      - {name: small, size: 500x750}
      - {name: cover, size: 600x900}
  - name: banner
    master: 1600x700
"""
PIN = Family(
    name="pin",
    ratio="2:3",
    master=Dimensions(width=1000, height=1500),
    derivatives=(
        Derivative(name="small", size=Dimensions(width=500, height=750)),
        Derivative(name="cover", size=Dimensions(width=600, height=900)),
    ),
    aliases=("pinterest", "Story_1"),
)


def size(text: str) -> Dimensions:
    width, height = map(int, text.split("x"))
    return Dimensions(width=width, height=height)


def row(name: str, master: str, **derivatives: str) -> Family:
    cut = tuple(Derivative(name=key, size=size(text)) for key, text in derivatives.items())
    return Family(name=name, ratio=ratio_of(size(master)), master=size(master), derivatives=cut)


@pytest.fixture
def load(tmp_path):
    def load(text: str) -> FamilyTable:
        path = tmp_path / "families.yaml"
        path.write_text(text, encoding="utf-8")
        return load_families(path, CATALOGUE)

    return load


def test_a_file_is_the_whole_table_in_its_own_order(load):
    table = load(OWN)

    assert table.families[0] == PIN
    assert table.names == ("pin", "banner")
    assert table.named("banner").derivatives == table.named("banner").aliases == ()


def test_the_built_in_table_written_as_a_file_is_the_built_in_table(load):
    rows = [
        {
            "name": family.name,
            "ratio": family.ratio,
            "master": str(family.master),
            "aliases": list(family.aliases),
            "derivatives": [{"name": item.name, "size": str(item.size)} for item in family.derivatives],
        }
        for family in BUILT_IN_TABLE.families
    ]

    assert load(json.dumps({"families": rows})) == BUILT_IN_TABLE


@pytest.mark.parametrize(
    ("master", "ratio"),
    [
        ("1024x1024", "1:1"),
        ("1920x1080", "16:9"),
        ("1000x1500", "2:3"),
        ("2560x1097", "2.33:1"),
        ("628x1200", "1:1.91"),
    ],
)
def test_a_ratio_that_is_left_out_follows_from_the_master(load, master, ratio):
    [family] = load(f"families: [{{name: pin, master: {master}}}]").families

    assert family.ratio == ratio


@pytest.mark.parametrize(("master", "ratio"), [("2560x1097", "21:9"), ("1200x628", "1.91:1"), ("1080x1920", "9:16")])
def test_a_ratio_may_be_said_as_people_say_it(master, ratio):
    assert objection_to_ratio(ratio, size(master)) is None


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("{master: 10x10}", "families[1].name: is missing"),
        ("{name: pin}", "families[1] (pin).master: is missing"),
        ("{name: pin, master: 10x10, colour: red}", "families[1] (pin).colour: unknown key; remove it"),
        ("{name: pin, master: 10x10, derivatives: 3}", "families[1] (pin).derivatives: must be a list"),
        ("{name: pin, master: 10x10, derivatives: [3]}", "derivatives[1]: must be a mapping of keys and values"),
        (
            "{name: pin, master: 10x10, derivatives: [{name: a, size: 1x1, to: 2}]}",
            "derivatives[1] (a).to: unknown key",
        ),
        ("{name: no, master: 10x10}", "families[1].name: YAML reads it as False; write it in quotes"),
        ("{name: 2026, master: 10x10}", "families[1].name: YAML reads it as 2026; write it in quotes"),
        ("{name: '', master: 10x10}", "families[1] ().name: must not be empty"),
        ("{name: a.b, master: 10x10}", "families[1] (a.b).name: must be URL-safe"),
        ("{name: models, master: 10x10}", "families[1] (models).name: is reserved"),
        (f"{{name: {'a' * 41}, master: 10x10}}", "name: is 41 characters long; at most 40 are allowed"),
        ("{name: pin, master: 10x10, aliases: [a/b]}", "families[1] (pin).aliases[1]: must be URL-safe"),
        (
            "{name: pin, master: 10x10, derivatives: [{name: a b, size: 1x1}]}",
            "derivatives[1] (a b).name: must be URL-safe",
        ),
        ("{name: pin, master: 10by10}", "master: is '10by10'; write width and height in pixels, as in 1200x628"),
        ("{name: pin, master: 0x10}", "master: YAML reads it as 16; write it in quotes"),
        ("{name: pin, master: '00x10'}", "master: is 00x10; each side must have 1 to 8192 pixels"),
        ("{name: pin, master: 8193x10}", "master: is 8193x10; each side must have 1 to 8192 pixels"),
        ("{name: pin, master: 8192x8192}", "master: is 8192x8192; that is more than 40 megapixels"),
        ("{name: pin, master: {width: 1, height: 1}}", "master: YAML reads it as {'width': 1, 'height': 1}; write it"),
        ("{name: pin, master: 10x10, ratio: 16:9}", "ratio: YAML reads it as 969; write it in quotes"),
        ("{name: pin, master: 10x10, ratio: wide}", """ratio is 'wide'; write it as "16:9", or leave it out"""),
        ("{name: pin, master: 10x10, ratio: '1:0'}", """ratio is '1:0'; write it as "16:9", or leave it out"""),
        (
            "{name: pin, master: 10x10, ratio: '3:2'}",
            "families[1] (pin): ratio is 3:2, but the master 10x10 is 1:1; correct",
        ),
        ("{name: pin, master: 10x10, aliases: [pin]}", "'pin' is said 2 times among the families' names and aliases"),
        (
            "{name: pin, master: 8192x20}",
            "pin: its master 8192x20 would show 1% of 1536x640, the nearest size that any",
        ),
    ],
)
def test_what_is_wrong_with_a_family_is_told_with_its_place_and_the_fix(load, family, said):
    with pytest.raises(WrongFamilies) as refusal:
        load(f"families: [{family}]")

    assert said in str(refusal.value)
    assert "families.yaml has problems: " in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has problems: must be a mapping of keys and values"),
        ("[]", "has problems: must be a mapping of keys and values"),
        ("families: []", "has problems: families: should have at least 1 item, not 0"),
        ("families: pin", "has problems: families: must be a list"),
        ("table: []", "has problems: families: is missing | table: unknown key; remove it"),
        ("families: [", "is not YAML: "),
        (
            f"families: {[{'name': f'f{n}', 'master': '9x9'} for n in range(41)]}",
            "families: should have at most 40 items",
        ),
        (
            f"families: [{{name: pin, master: 9x9, derivatives: {[{'name': f'd{n}', 'size': '9x9'} for n in range(20)]}}}]",
            "families[1] (pin).derivatives: should have at most 19 items, not 20",
        ),
        (
            "families: "
            + json.dumps(
                [
                    {
                        "name": f"f{n}",
                        "master": "9x9",
                        "derivatives": [{"name": f"d{m}", "size": "9x9"} for m in range(19)],
                    }
                    for n in range(11)
                ]
            ),
            "has 220 masters and derivatives; at most 200 can be told in one event",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(load, text, said):
    with pytest.raises(WrongFamilies) as refusal:
        load(text)

    assert said in str(refusal.value)


def test_all_that_is_wrong_with_a_file_is_told_at_once(load):
    with pytest.raises(WrongFamilies) as refusal:
        load("families: [{name: pin, master: 1x}, {master: 10x10}, {name: top, master: 9x9, ratio: '2:1'}]")

    assert str(refusal.value).count(" | ") == 2


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WrongFamilies, match=r"families.yaml cannot be read: No such file"):
        load_families(tmp_path / "families.yaml", CATALOGUE)


def test_pictures_that_show_little_of_what_they_are_cut_from_are_allowed_and_remarked_upon(load):
    with capture_logs() as logs:
        load("families: [{name: pin, master: 1000x1000, derivatives: [{name: strip, size: 1000x300}]}]")

    assert [line["remark"] for line in logs] == ["pin.strip: 1000x300 shows 30% of what 1000x1000 would show"]


def test_a_family_far_from_every_native_size_is_remarked_upon():
    table = FamilyTable(families=(row("banner", "1600x200"),))

    assert objections_to_serving(table, CATALOGUE) == []
    assert list(remarks(table, CATALOGUE)) == ["banner: a model renders 1344x768 for it, of which 1600x200 shows 22%"]


def test_the_built_in_table_is_served_without_a_remark():
    assert objections_to_serving(BUILT_IN_TABLE, CATALOGUE) == []
    assert list(remarks(BUILT_IN_TABLE, CATALOGUE)) == []
    assert objection_to_amount(BUILT_IN_TABLE) is None


def test_a_job_may_have_as_many_files_of_a_family_as_a_message_can_tell_of():
    largest = row("pin", "9x9", **{f"d{number}": "9x9" for number in range(MAX_DERIVATIVES)})

    assert objection_to_files(largest, images=5, formats=1) is None
    assert objection_to_files(FAMILIES["square"], images=5, formats=4) is None
    assert objection_to_files(largest, images=3, formats=2) == (
        "3 images in 2 formats are 120 files of pin, which has 20 sizes; at most 100 are made at once: ask for fewer images "
        "or formats"
    )
    assert (MAX_FILES, MAX_PICTURES) == (100, 200)


async def test_a_job_keeps_the_rows_of_the_table_that_it_was_made_with():
    job = await Office().submit(families=("pin",), table=FamilyTable(families=(PIN,)))

    assert job.families["pin"].row == job.families["pin"].shape == PIN


async def test_a_family_of_another_table_is_no_family_of_this_one():
    with pytest.raises(UnknownFamily):
        await Office().submit(families=("square",), table=FamilyTable(families=(PIN,)))


async def test_the_files_of_a_job_are_those_of_its_own_table_after_regenerating_and_in_a_replay():
    office = Office()
    job = await office.submit(families=("pin",), table=FamilyTable(families=(PIN,)))
    ended = job.model_copy(update={"status": JobStatus.COMPLETED})
    again = commands.regenerate(ended, NOW).job
    copy = replayed(job, NOW, job_id=a_job_id(9), owner="anna")

    for made in (job, again, copy):
        assert await files_of(made) == {"pin": "1000x1500", "small": "500x750", "cover": "600x900"}


async def test_a_job_of_before_has_the_files_of_the_built_in_table():
    job = a_job("facebook-og")

    assert job.families["facebook-og"].row is None
    assert await files_of(job) == {"facebook-og": "1200x628", "link-preview": "1200x628", "linkedin": "1200x627"}


async def test_a_document_that_lost_its_row_is_told_apart_from_one_that_needs_none():
    with pytest.raises(UnknownFamily, match="unknown family 'pin'"):
        await files_of(a_job(a_family("pin")))


async def files_of(job):
    """Name -> size in the spec of the job's only family."""
    work = InMemoryBlobs()
    await BlobSpecs(work).write(job)
    spec = RenderSpec.model_validate_json(await work.get(spec_key(job.id, job.revision)))
    [family] = spec.families.values()
    return {file.name: str(file.size) for file in family.files}
