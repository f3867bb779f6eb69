import io
from datetime import UTC, datetime

from rich.console import Console

from imagetron_cli.api import Picture
from imagetron_cli.commands.demo import ORDERS, Teller, files_list
from imagetron_cli.gallery import SavedPicture
from imagetron_contracts import FAMILIES, Envelope, FamilyCompleted, Message, VariationStarted
from unit.cli.answers import a_picture


def test_the_first_request_is_the_marketing_platforms_own_example():
    assert ORDERS[0].model_dump(mode="json", by_alias=True, exclude_none=True) == {
        "name": "hero-sunset-beach",
        "category": "marketing/seo",
        "families": ["square", "landscape", "facebook-og"],
        "generation": {
            "prompt": "Professional sunset beach scene, warm golden hour lighting, serene ocean waves",
            "negativePrompt": "people, text, watermark, low quality",
            "seed": 1234567890,
            "model": "photorealistic",
            "inferenceSteps": 30,
            "guidanceScale": 7.5,
        },
        "isDxJob": True,
    }


def test_the_second_request_has_every_family():
    assert ORDERS[1].families == tuple(FAMILIES)


def test_every_event_line_says_which_variation_it_is_of():
    printed = io.StringIO()
    teller = Teller(Console(file=printed, width=200))
    beach, lake, unknown = (f"01890a5d-ac96-774b-bcce-b302099a805{digit}" for digit in "123")
    for job, name in ((beach, "beach"), (lake, "lake")):
        teller.tell(an_event(job, VariationStarted(variation_id=job, name=name, family_count=1)))
    for job in (lake, beach, unknown):
        teller.tell(an_event(job, FamilyCompleted(variation_id=job, family_name="square", public_url="http://cdn/1")))

    assert [line.split()[2:] for line in printed.getvalue().splitlines()] == [
        ["beach", "familyCount=1"],
        ["lake", "familyCount=1"],
        ["lake", "familyName=square"],
        ["beach", "familyName=square"],
        [unknown, "familyName=square"],
    ]


def test_files_are_listed_where_they_lie(tmp_path):
    picture = Picture.model_validate(a_picture())
    saved = [SavedPicture(picture, tmp_path / "beach" / "square" / "square.webp", (1024, 1024), is_marked=True)]

    assert files_list("beach", saved, tmp_path).plain.split() == [
        "beach",
        "square/square",
        "1024x1024",
        "beach/square/square.webp",
    ]


def an_event(job: str, data: Message) -> Envelope:
    return Envelope.wrap(data, message_id=job, source="gateway", time=datetime(2026, 1, 1, tzinfo=UTC), job_id=job)
