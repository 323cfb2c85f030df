"""Publishes and receives messages, for the tests of every broker."""

import asyncio
from contextlib import aclosing

from services.common.brokers.delivery import Delivery
from services.common.errors import InvalidMessage
from services.common.ports import Broker
from tests.support.messages import new_message

DEADLINE_SECONDS = 15.0


async def publish(broker: Broker, model: str, count: int) -> list[str]:
    """Publish new messages and return their message ids in order."""
    messages = [new_message(model) for _ in range(count)]
    for message in messages:
        await broker.publish(message)
    return [message.message_id for message in messages]


async def receive(broker: Broker, model: str, count: int, prefetch: int = 1) -> list[Delivery]:
    """Acknowledge the next deliveries and return them in order."""
    received: list[Delivery] = []
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, prefetch)) as deliveries:
        while len(received) < count:
            delivery = await anext(deliveries)
            async with delivery:
                received.append(delivery)
    return received


async def await_depth(broker: Broker, model: str, depth: int) -> None:
    """Wait until the queue has this depth; a server may take a moment to count settled messages."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await broker.depth(model) != depth:
            await asyncio.sleep(0.02)


async def reject(broker: Broker, model: str, count: int = 1) -> None:
    """Reject the next messages as not understood."""
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        for _ in range(count):
            async with await anext(deliveries) as body:
                raise InvalidMessage(f"not understood: {body!r}")
