"""Stable Diffusion XL in batches whose rows are independent; nothing of Triton (that is model.py's business)."""

from .checkpoints import Catalogue
from .classifier import Classifier, classifier_from
from .engine import VERSION, Engine
from .failures import Failed, Refused
from .options import BadOption, EngineOptions, options_from
from .orders import Failure, Order, Outcome, Picture, text_of

__all__ = [
    "VERSION",
    "BadOption",
    "Catalogue",
    "Classifier",
    "Engine",
    "EngineOptions",
    "Failed",
    "Failure",
    "Order",
    "Outcome",
    "Picture",
    "Refused",
    "classifier_from",
    "options_from",
    "text_of",
]
