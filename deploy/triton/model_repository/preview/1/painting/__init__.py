"""The preview model's painter: numpy alone, no weights, no GPU, and nothing of Triton (that is model.py's business)."""

from .order import Order, Refused, text_of
from .painter import VERSION, Painting

__all__ = ["VERSION", "Order", "Painting", "Refused", "text_of"]
