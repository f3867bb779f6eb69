"""What the prompt service can do: one function for each kind of request."""

from imagetron_prompt.usecases.describing import describe_prompts
from imagetron_prompt.usecases.enhancing import enhance_prompt
from imagetron_prompt.usecases.keeping import change_prompt, get_prompt, list_prompts, remove_prompt
from imagetron_prompt.usecases.proposing import forget_subjects, propose_subjects, read_subjects_history
from imagetron_prompt.usecases.retitling import retitle_prompt
from imagetron_prompt.usecases.writing import write_prompts

__all__ = [
    "change_prompt",
    "describe_prompts",
    "enhance_prompt",
    "forget_subjects",
    "get_prompt",
    "list_prompts",
    "propose_subjects",
    "read_subjects_history",
    "remove_prompt",
    "retitle_prompt",
    "write_prompts",
]
