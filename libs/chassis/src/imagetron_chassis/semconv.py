"""Every span, attribute, metric and log-field name that we emit, once. No SDK set-up."""

from typing import Final

# Attributes (OpenTelemetry's messaging conventions where they have a word for it).
MESSAGE_ID: Final = "messaging.message.id"
MESSAGE_TYPE: Final = "imagetron.message.type"
QUEUE: Final = "messaging.destination.name"
JOB_ID: Final = "imagetron.job.id"
FAMILY: Final = "imagetron.job.family"
MODEL: Final = "imagetron.model"
PROVIDER: Final = "imagetron.provider"
LANE: Final = "imagetron.lane"
TRY: Final = "imagetron.message.try"
DEPENDENCY: Final = "imagetron.dependency"
OUTCOME: Final = "imagetron.outcome"
PURPOSE: Final = "imagetron.writer.purpose"
DIRECTION: Final = "gen_ai.token.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"

# Metrics: name, unit, description.
DELIVERIES: Final = ("deliveries", "1", "Messages handled, by queue and outcome")
DELIVERY_SECONDS: Final = ("delivery.duration", "s", "Time from taking a message to answering the broker, by queue")
PUBLISHED: Final = ("messages.published", "1", "Messages confirmed by the broker, by type")
OUTBOX_SENT: Final = ("outbox.sent", "1", "Outbox entries confirmed by the broker")
OUTBOX_SWEPT: Final = (
    "outbox.swept",
    "1",
    "Documents whose outbox the sweep had to send, because the fast path did not",
)
HTTP_SECONDS: Final = ("http.server.request.duration", "s", "Duration of HTTP requests, by route and status")
JOBS_FINISHED: Final = ("jobs.finished", "1", "Jobs that reached a terminal status, by status")
FAMILIES_ADMITTED: Final = ("families.admitted", "1", "Families let into the broker, by lane")
WAITING_JOBS: Final = ("jobs.waiting", "1", "Jobs that wait for admission, by lane; the same number from every replica")
FAMILIES_IN_FLIGHT: Final = (
    "families.in_flight",
    "1",
    "Families in the broker's window, by lane; the same from every replica",
)
FAMILY_SECONDS: Final = ("family.duration", "s", "Time from admission to the end of a family, by outcome")
MODEL_SECONDS: Final = ("model.duration", "s", "Time in the model for one family, by model")
IMAGES_FAILED_OVER: Final = (
    "images.failed_over",
    "1",
    "Images for which another provider was asked after the first one's error, by the first one",
)
MODEL_AVAILABLE: Final = ("model.available", "1", "1 if the last synthetic inference gave a picture, by model")
ENCODE_SECONDS: Final = ("encode.duration", "s", "Time spent cutting and encoding one image")
BREAKER_STATE: Final = ("breaker.state", "1", "0 closed, 1 half open, 2 open, by dependency")
MODEL_CONCURRENCY: Final = (
    "model.concurrency_limit",
    "1",
    "Families that may be with the model at once, as it bears now",
)
WRITER_TOKENS: Final = ("writer.tokens", "1", "Tokens of the language model, by purpose and direction")
WRITER_COST: Final = ("writer.cost", "USD", "What the language model's answers cost, by purpose; known prices only")
WRITER_SECONDS: Final = ("writer.duration", "s", "Time until a text was written, by purpose and outcome")
