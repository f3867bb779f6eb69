"""The font that watermarks are written in, and what it can write. No pixels and no drawing library."""

from imagetron_chassis.watermarks.font import FONT, unwritable

__all__ = ["FONT", "unwritable"]
