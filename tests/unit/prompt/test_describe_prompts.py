from imagetron_prompt.usecases import describe_prompts


async def test_the_service_says_its_version_and_that_no_language_model_is_behind_it():
    described = await describe_prompts(service_version="1.2.3")

    assert (described.service_version, described.source) == ("1.2.3", "offline")
