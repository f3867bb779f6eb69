"""A real Triton."""

from support.triton import triton

__all__ = ["triton"]
