"""What the gateway can do. One function each, one module for each kind of occasion."""

from imagetron_gateway.usecases.admitting import Turns, admit_waiting
from imagetron_gateway.usecases.changing import Changed, cancel_job, regenerate_job, retry_job
from imagetron_gateway.usecases.checking import check_due
from imagetron_gateway.usecases.committing import SAGA, SOURCE, JobMissing, KeyReused, TooManyWriters
from imagetron_gateway.usecases.submitting import (
    BacklogFull,
    NewJob,
    Submitted,
    replay_job,
    submission_of,
    submit_job,
)
from imagetron_gateway.usecases.taking_in import take_in

__all__ = [
    "SAGA",
    "SOURCE",
    "BacklogFull",
    "Changed",
    "JobMissing",
    "KeyReused",
    "NewJob",
    "Submitted",
    "TooManyWriters",
    "Turns",
    "admit_waiting",
    "cancel_job",
    "check_due",
    "regenerate_job",
    "replay_job",
    "retry_job",
    "submission_of",
    "submit_job",
    "take_in",
]
