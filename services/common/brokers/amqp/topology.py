"""Exchanges and queues, declared by the first process that needs them.

Arguments cannot be changed on a queue that exists, so only what never changes is an argument: queue type, overflow
and dead-letter exchange. Numbers (length, delivery limit) are policies: `deploy/rabbitmq/definitions.json`.
"""

from typing import Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue
from pamqp.common import FieldTable

from services.common.brokers.lanes import lane_of

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


def queue_name(key: str) -> str:
    """Return the name of the queue with this routing key."""
    return f"{JOBS}.{key}"


async def declare_exchange(channel: AbstractChannel) -> AbstractExchange:
    """Declare the exchange that jobs are published to."""
    return await channel.declare_exchange(JOBS, ExchangeType.DIRECT, durable=True)


async def declare_dead_queue(channel: AbstractChannel) -> AbstractQueue:
    dead = await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
    queue = await channel.declare_queue(DEAD, durable=True, arguments=DEAD_ARGUMENTS)
    await queue.bind(dead)
    return queue


async def declare_job_queues(channel: AbstractChannel, model: str) -> tuple[AbstractQueue, AbstractQueue]:
    """Declare and bind both lanes of one model, the bulk one last, and the queue of dead letters."""
    await declare_dead_queue(channel)
    exchange = await declare_exchange(channel)

    async def declare(key: str) -> AbstractQueue:
        queue = await channel.declare_queue(queue_name(key), durable=True, arguments=JOB_ARGUMENTS)
        await queue.bind(exchange, routing_key=key)
        return queue

    return await declare(lane_of(model, bulk=False)), await declare(lane_of(model, bulk=True))
