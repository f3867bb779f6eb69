"""A private RabbitMQ node."""

from support.rabbitmq import rabbitmq

__all__ = ["rabbitmq"]
