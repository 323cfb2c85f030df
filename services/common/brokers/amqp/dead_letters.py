"""Read dead letters without consuming them, and take one away."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from services.common.brokers.amqp.subscription import message_key
from services.common.brokers.amqp.topology import declare_dead_queue
from services.common.brokers.lanes import model_of
from services.common.ports import MAX_DEAD_LETTERS, DeadLetter


async def read_dead_letters(channel: AbstractChannel, limit: int) -> list[DeadLetter]:
    """Return the oldest first. Other readers do not see them meanwhile."""
    async with aclosing(_browse(channel, limit)) as messages:
        return [_letter(message) async for message in messages]


async def take_dead_letter(
    channel: AbstractChannel, message_id: str, first: Callable[[DeadLetter], Awaitable[None]] | None = None
) -> bool:
    """Remove the letter, after calling `first` with it; return False if there is none.

    Where `first` publishes the letter, it exists twice for a moment.
    """
    async with aclosing(_browse(channel, MAX_DEAD_LETTERS)) as messages:
        async for message in messages:
            if message_key(message) == message_id:
                if first is not None:
                    await first(_letter(message))
                await message.ack()
                return True
    return False


async def _browse(channel: AbstractChannel, limit: int) -> AsyncGenerator[AbstractIncomingMessage, None]:
    """Hold messages unacked while they are looked at; closing puts back those still held."""
    queue = await declare_dead_queue(channel)
    newest: AbstractIncomingMessage | None = None
    try:
        for _ in range(limit):
            message = await queue.get(fail=False)
            if message is None:
                break
            newest = message
            yield message
    finally:
        if newest is not None:
            # Before the channel closes, so that they are back when it has.
            underlay = await channel.get_underlay_channel()
            await underlay.basic_nack(newest.delivery_tag or 0, multiple=True, requeue=True)


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    died_at = 0.0
    deaths = message.headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        time = deaths[0].get("time")
        died_at = time.timestamp() if isinstance(time, datetime) else 0.0
    return DeadLetter(message_key(message), model_of(message.routing_key or ""), message.body, died_at)
