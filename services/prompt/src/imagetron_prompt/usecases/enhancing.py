"""A proposal for a final prompt. It costs money, and nothing of it is kept: what counts is what the person makes of it."""

from typing import Final

from imagetron_chassis.errors import Retryable
from imagetron_chassis.logs import log
from imagetron_contracts.rpc import MAX_PROMPT_CHARACTERS, EnhancePrompt, PromptEnhanced
from imagetron_prompt.domain.accepting import check_text
from imagetron_prompt.domain.calls import Purpose
from imagetron_prompt.domain.cleaning import cleaned
from imagetron_prompt.ports import Unusable, Writer
from imagetron_prompt.usecases.measuring import measured

MAX_INTENT_CHARACTERS: Final = 500


async def enhance_prompt(request: EnhancePrompt, *, writer: Writer, stand_in: Writer | None) -> PromptEnhanced:
    """The proposal; from the stand-in, if there is one, when the writer cannot answer this time."""
    check_text("intent", request.intent, at_most=MAX_INTENT_CHARACTERS)
    check_text("prompt", request.prompt, at_most=MAX_PROMPT_CHARACTERS)
    try:
        return await _proposal(request, writer)
    except Retryable as error:
        if stand_in is None:
            raise
        log().warning("enhanced_by_stand_in", reason=type(error).__name__)
        return await _proposal(request, stand_in)


async def _proposal(request: EnhancePrompt, writer: Writer) -> PromptEnhanced:
    asked = writer.enhance(request.intent, request.prompt, budget_seconds=request.budget_seconds)
    written = await measured(Purpose.ENHANCE, asked)
    text = cleaned(written.value, MAX_PROMPT_CHARACTERS)
    if not text:
        raise Unusable("the language model wrote an empty prompt")
    return PromptEnhanced(final_prompt=text, source=written.source)
