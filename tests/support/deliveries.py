"""Publishing and receiving, for the tests of every broker."""

import asyncio
from contextlib import aclosing

from services.common.errors import InvalidMessage
from services.common.ports import Broker, Delivery
from tests.support.messages import new_message

PATIENCE_SECONDS = 15.0


async def publish(broker: Broker, model: str, count: int) -> list[str]:
    """Message ids in the order of publishing."""
    messages = [new_message(model) for _ in range(count)]
    for message in messages:
        await broker.publish(message)
    return [message.message_id for message in messages]


async def receive(broker: Broker, model: str, count: int, prefetch: int = 1) -> list[Delivery]:
    """The next deliveries in order, acked."""
    received: list[Delivery] = []
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, prefetch)) as deliveries:
        while len(received) < count:
            delivery = await anext(deliveries)
            async with delivery:
                received.append(delivery)
    return received


async def await_depth(broker: Broker, model: str, depth: int) -> None:
    """A server may take a moment to count what was settled."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await broker.depth(model) != depth:
            await asyncio.sleep(0.02)


async def reject(broker: Broker, model: str, count: int = 1) -> None:
    """Take the next messages and do not understand them."""
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        for _ in range(count):
            async with await anext(deliveries) as body:
                raise InvalidMessage(f"not understood: {body!r}")
