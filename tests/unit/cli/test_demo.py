from imagetron_cli.commands.demo import ORDERS
from imagetron_contracts import FAMILIES


def test_the_first_request_is_the_marketing_platforms_own_example():
    assert ORDERS[0].model_dump(mode="json", by_alias=True) == {
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
