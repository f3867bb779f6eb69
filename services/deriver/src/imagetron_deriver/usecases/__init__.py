"""What the deriver does: from a family's renders to its pictures, encoded, in the work store."""

from imagetron_deriver.usecases.deriving import derive_family
from imagetron_deriver.usecases.inputs import MAX_RENDER_BYTES, RenderLost, Renders, SpecUnusable

__all__ = ["MAX_RENDER_BYTES", "RenderLost", "Renders", "SpecUnusable", "derive_family"]
