"""The server that these tests share."""

from support.triton import triton

__all__ = ["triton"]
