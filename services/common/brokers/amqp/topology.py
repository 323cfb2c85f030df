"""Exchanges and queues, declared by whoever comes first.

Arguments cannot be changed on a queue that exists, so only what never changes is an argument: queue type, overflow
and dead-letter exchange. Numbers (length, delivery limit) are policies: `deploy/rabbitmq/definitions.json`.
"""

from typing import Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue
from pamqp.common import FieldTable

JOBS: Final = "studio.jobs"
DEAD: Final = "studio.dead"
JOB_ARGUMENTS: Final[FieldTable] = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",  # the default drops the oldest accepted job
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",  # the default may lose a dead letter
}
DEAD_ARGUMENTS: Final[FieldTable] = {
    "x-queue-type": "quorum",
    # Looking at a dead letter counts as a delivery, and RabbitMQ 4 drops a message after 20 of them.
    "x-delivery-limit": 2**31 - 1,
}


def queue_name(model: str) -> str:
    return f"{JOBS}.{model}"


async def declare_exchange(channel: AbstractChannel) -> AbstractExchange:
    """The exchange that jobs are published to, with the model as routing key."""
    return await channel.declare_exchange(JOBS, ExchangeType.DIRECT, durable=True)


async def declare_dead_queue(channel: AbstractChannel) -> AbstractQueue:
    dead = await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
    queue = await channel.declare_queue(DEAD, durable=True, arguments=DEAD_ARGUMENTS)
    await queue.bind(dead)
    return queue


async def declare_job_queue(channel: AbstractChannel, model: str) -> AbstractQueue:
    """The queue of one model, bound; a dead letter of it always finds a place to go to."""
    await declare_dead_queue(channel)
    exchange = await declare_exchange(channel)
    queue = await channel.declare_queue(queue_name(model), durable=True, arguments=JOB_ARGUMENTS)
    await queue.bind(exchange, routing_key=model)
    return queue
