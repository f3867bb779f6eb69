"""A real Triton, and a private RabbitMQ node."""

from support.rabbitmq import rabbitmq
from support.triton import triton

__all__ = ["rabbitmq", "triton"]
