"""One consumer on one connection, from its first delivery until the connection or the consumer is lost."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue, ConsumerTag

from services.common.brokers.amqp.deadline import FAILURES, within
from services.common.brokers.amqp.session import close_connection, connect
from services.common.brokers.amqp.topology import declare_job_queues
from services.common.brokers.delivery import Delivery, Settlement

SETTLE_SECONDS = 2.5
WATCH_SECONDS = 15.0
_SANE = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger(__name__)


class Subscription:
    """Has a connection of its own: a failure here disturbs no other consumer and no publisher."""

    def __init__(self) -> None:
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._consumers: list[tuple[AbstractQueue, ConsumerTag]] = []  # of the two lanes, the bulk one last
        self._inbox: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        self._unsettled = 0
        self._lost = asyncio.Event()
        self._ended = False

    async def open(self, url: str, model: str, prefetch: int) -> None:
        """Connect and consume. Raises what aio-pika raises; after that, or a timeout, the caller closes."""
        self._connection = await connect(url, f"studio consume {model}")
        self._connection.close_callbacks.add(self._lose)
        self._channel = self._connection.channel(publisher_confirms=False)
        await self._channel.initialize()
        self._channel.close_callbacks.add(self._lose)
        # The server ends a consumer whose queue was deleted or moved; on a plain channel only this tells.
        (await self._channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(self._lose)
        # RabbitMQ counts it for each consumer by itself, so a lane that is full of work keeps nothing from the other.
        await self._channel.set_qos(prefetch_count=prefetch)
        for queue in await declare_job_queues(self._channel, model):
            self._consumers.append((queue, await queue.consume(self._receive)))
        if self._ended:  # closed while connecting
            await self.close()

    async def next(self) -> Delivery | None:
        """Return the next delivery, or None once the subscription is lost."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    message = await self._inbox.get()
            except TimeoutError:
                if not await self._consuming():
                    break
                continue
            if message is None:
                break
            if self._lost.is_set():
                await _settle(message, Settlement.REQUEUE)
                break
            self._unsettled += 1
            bulk = message.consumer_tag == self._consumers[-1][1]
            return _delivery(message, self._settler(message), bulk=bulk)
        return None

    async def end(self) -> None:
        """Stop deliveries and requeue those not handed out; the others can be settled until `close`."""
        self._ended = True
        if self._channel and not self._channel.is_closed:
            for queue, tag in self._consumers:
                with suppress(*FAILURES):
                    await within(SETTLE_SECONDS, queue.cancel(tag))
            while not self._inbox.empty():
                if message := self._inbox.get_nowait():
                    await _settle(message, Settlement.REQUEUE)
        if not self._unsettled:
            await self.close()

    async def close(self) -> None:
        """Close the connection; the broker requeues unsettled deliveries."""
        self._ended = True
        await close_connection(self._connection)

    @property
    def closed(self) -> bool:
        return self._connection is None or self._connection.is_closed

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        if self._ended:
            await _settle(message, Settlement.REQUEUE)
        else:
            self._inbox.put_nowait(message)

    def _lose(self, *_: Any) -> None:
        self._lost.set()
        self._inbox.put_nowait(None)

    async def _consuming(self) -> bool:
        """Return whether the broker answers and still has a consumer on both lanes."""
        if self._channel is None:
            return False
        for lane, _ in self._consumers:
            try:
                queue = await within(SETTLE_SECONDS, self._channel.declare_queue(lane.name, passive=True))
            except FAILURES as exc:
                log.warning("consumer lost", queue=lane.name, reason=str(exc))
                return False
            if not queue.declaration_result.consumer_count:
                return False
        return bool(self._consumers)

    def _settler(self, message: AbstractIncomingMessage) -> Callable[[Settlement], Awaitable[None]]:
        settled = False

        async def settle(settlement: Settlement) -> None:
            nonlocal settled
            if settled:
                return
            settled = True
            try:
                await _settle(message, settlement)
            finally:
                self._unsettled -= 1
                if self._ended and not self._unsettled:
                    await self.close()

        return settle


def _delivery(
    message: AbstractIncomingMessage, settle: Callable[[Settlement], Awaitable[None]], *, bulk: bool
) -> Delivery:
    count = message.headers.get("x-delivery-count", 0)
    texts = {name: value for name, value in message.headers.items() if isinstance(value, str)}
    return Delivery(message.body, message_key(message), count if isinstance(count, int) else 0, settle, texts, bulk)


async def _settle(message: AbstractIncomingMessage, settlement: Settlement) -> None:
    match settlement:
        case Settlement.ACK:
            work = message.ack()
        case Settlement.REJECT:
            work = message.reject(requeue=False)
        case Settlement.RETRY:
            work = message.reject(requeue=True)
        case Settlement.REQUEUE:
            work = message.nack(requeue=True)  # since RabbitMQ 4.3 a nack does not count as a failure
    try:
        await within(SETTLE_SECONDS, work)
    except FAILURES as exc:
        log.warning("delivery not settled", message_id=message.message_id, settlement=settlement.name, reason=str(exc))


def message_key(message: AbstractIncomingMessage) -> str:
    """Return the message id; a hash of the body if it has none, or one that does not fit into a URL."""
    if message.message_id and _SANE.fullmatch(message.message_id):
        return message.message_id
    return hashlib.sha256(message.body).hexdigest()[:32]
