"""What is measured of tasks at other people's servers. Names only."""

from typing import Final

OPERATION: Final = "imagetron.provider.operation"

PROVIDER_CALLS: Final = (
    "provider.calls",
    "1",
    "Calls of providers that answer later, by provider, operation and outcome",
)
TASK_SECONDS: Final = ("provider.task.duration", "s", "Time from handing a task in to its end, by provider and outcome")
TASKS_RESUBMITTED: Final = (
    "provider.tasks.resubmitted",
    "1",
    "Tasks handed in, and perhaps paid for, once more because an answer was lost, by provider",
)
TASKS_OVERTAKEN: Final = (
    "provider.tasks.overtaken",
    "1",
    "Writes of workers whose claim somebody else had taken over, by provider",
)
CALLBACKS: Final = ("provider.callbacks", "1", "Callbacks taken in, by provider and what they changed")
PAID_CALLS_REPEATED: Final = (
    "provider.paid_calls.repeated",
    "1",
    "Direct calls made, and perhaps paid for, once more because an answer was lost, by provider",
)
