"""Enlarging pictures with a super-resolution network, tile by tile; nothing of Triton (that is model.py's business)."""

from .enlarger import Enlarger
from .failures import Cancelled, Failed, OutOfMemory, Refused
from .loading import load
from .settings import BadSetting, Settings, settings_from

__all__ = [
    "BadSetting",
    "Cancelled",
    "Enlarger",
    "Failed",
    "OutOfMemory",
    "Refused",
    "Settings",
    "load",
    "settings_from",
]
