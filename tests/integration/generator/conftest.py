"""A real Triton server on the CPU, a private RabbitMQ node, and whoever else is on it."""

from integration.generator.neighbours import neighbours
from support.rabbitmq import rabbitmq
from support.triton import triton

__all__ = ["neighbours", "rabbitmq", "triton"]
