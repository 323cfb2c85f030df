"""One connection for everything but consuming, opened at first use and thrown away whole when it fails."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import aio_pika
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aiormq.exceptions import ChannelNotFoundEntity

from services.common.brokers.amqp.deadline import FAILURES, within
from services.common.brokers.amqp.topology import (
    JOBS,
    declare_dead_queue,
    declare_exchange,
    declare_job_queues,
    queue_name,
)

CLOSE_SECONDS = 3.0  # aiormq waits 2 s for the broker to say goodbye
NOWHERE = "probe_nowhere"  # no lane ends like this


class Session:
    """Publishing has a channel of its own: a failing declaration closes the channel it is made on.

    Raises what aio-pika raises; the broker puts deadlines around and translates.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._lock = asyncio.Lock()
        self.browsing = asyncio.Lock()  # a reader of the dead letters hides them from others
        self._connection: AbstractConnection | None = None
        self._control: AbstractChannel | None = None
        self._publishing: AbstractChannel | None = None
        self._declared: set[str] = set()

    async def blocked(self) -> bool:
        """True while RabbitMQ takes nothing on the open connection, since memory or disk run low."""
        if self._connection is None or self._connection.transport is None or not self._connection.connected.is_set():
            return False
        try:
            async with asyncio.timeout(0):
                await self._connection.transport.connection.ready()  # returns at once unless it is blocked
        except TimeoutError:
            return True
        return False

    async def exchange(self, model: str) -> AbstractExchange:
        """Return the exchange to publish to, with confirms; the queues of the model exist."""
        async with self._lock:
            await self._declare(model)
            return await self._exchange()

    def forget_queue(self, model: str) -> None:
        """Declare the queue again before the next message, since it was deleted."""
        self._declared.discard(model)

    async def depth(self, model: str, lanes: Sequence[str]) -> int:
        async with self._lock:
            control = await self._declare(model)
            depth = 0
            try:
                for lane in lanes:
                    # A plain channel: aio-pika's robust ones answer a passive declaration with 0.
                    queue = await control.declare_queue(queue_name(lane), passive=True)
                    depth += queue.declaration_result.message_count or 0
            except ChannelNotFoundEntity:
                self.forget_queue(model)
            return depth

    async def dead_letter_count(self) -> int:
        async with self._lock:
            queue = await declare_dead_queue(await self._open_control())
            return queue.declaration_result.message_count or 0

    async def ping(self) -> None:
        async with self._lock:
            await declare_exchange(await self._open_control())

    async def probe(self) -> None:
        """Publish a message to no queue, and return once it is confirmed.

        RabbitMQ blocks a connection only once that publishes, so nothing else tells that an alarm is on.
        """
        async with self._lock:
            exchange = await self._exchange()
        await exchange.publish(Message(b""), routing_key=NOWHERE, mandatory=False)

    async def new_channel(self) -> AbstractChannel:
        """Open a channel for one caller, which closes it."""
        async with self._lock:
            return await self._new_channel(confirms=False)

    async def close(self) -> None:
        await close_connection(self._connection)

    async def _declare(self, model: str) -> AbstractChannel:
        control = await self._open_control()
        if model not in self._declared:
            await declare_job_queues(control, model)
            self._declared.add(model)
        return control

    async def _exchange(self) -> AbstractExchange:
        if self._publishing is None or self._publishing.is_closed:
            self._publishing = await self._new_channel(confirms=True)
        return await self._publishing.get_exchange(JOBS, ensure=False)

    async def _open_control(self) -> AbstractChannel:
        if self._control is None or self._control.is_closed:
            self._control = await self._new_channel(confirms=False)
        return self._control

    async def _new_channel(self, *, confirms: bool) -> AbstractChannel:
        # `is_closed` stays False when it was the broker that closed.
        if self._connection is None or not self._connection.connected.is_set():
            self._connection = await connect(self._url, self._name)
            self._declared.clear()
        # Without on_return_raises an unroutable message looks published.
        channel = self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize()
        return channel


async def connect(url: str, name: str) -> AbstractConnection:
    """Connect; `name` shows in RabbitMQ's list of connections.

    Not a robust connection: that one makes calls wait without limit while it reconnects.
    """
    return await aio_pika.connect(url, client_properties={"connection_name": name})


async def close_connection(connection: AbstractConnection | None) -> None:
    """Close the connection, within CLOSE_SECONDS even if the broker does not answer. Never raises."""
    if connection is not None:
        with suppress(*FAILURES):
            await within(CLOSE_SECONDS, connection.close())
