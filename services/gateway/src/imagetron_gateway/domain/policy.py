"""The operator's negative prompt: demanded of every job, shown in it, and never merged into what its caller approved."""

from imagetron_gateway.domain.catalogue import Model
from imagetron_gateway.domain.job import Job, Policy

# Up to here the model does not look at a negative prompt at all (classifier-free guidance: Ho & Salimans 2022).
_WITHOUT_EFFECT_UP_TO = 1.0


def negative_prompt_of(job: Job) -> str:
    """What the model is told to avoid: the caller's words, byte for byte, then the policy's."""
    return ", ".join(text for text in (job.negative_prompt, job.policy.negative_prompt) if text)


def objection_to_model(policy: Policy, model: Model) -> str | None:
    """Why this model may not be used under the policy; None if it may."""
    if policy.negative_prompt and model.guidance.maximum <= _WITHOUT_EFFECT_UP_TO:
        return f"{model.name} takes no heed of negative prompts, and the policy has one; use another model"
    return None


def objection_to_guidance(policy: Policy, guidance_scale: float) -> str | None:
    """Why this guidance may not be used under the policy; None if it may."""
    if policy.negative_prompt and guidance_scale <= _WITHOUT_EFFECT_UP_TO:
        return f"is {guidance_scale:g}; the policy's negative prompt has an effect above {_WITHOUT_EFFECT_UP_TO:g} only"
    return None
