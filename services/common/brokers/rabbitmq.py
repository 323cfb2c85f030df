"""The distributed broker: RabbitMQ, two durable quorum queues per model.

A publish is persistent, mandatory and confirmed. Written for RabbitMQ 3.10 and later.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import DeliveryError, PublishError

from services.common.brokers.amqp.calls import CALL_SECONDS, Calls
from services.common.brokers.amqp.dead_letters import read_dead_letters, take_dead_letter
from services.common.brokers.amqp.deadline import FAILURES, within
from services.common.brokers.amqp.session import Session
from services.common.brokers.amqp.subscription import Subscription
from services.common.brokers.delivery import Delivery
from services.common.brokers.lanes import lane_of, lanes_of
from services.common.errors import BackendRefused, BackendUnavailable, PublishUnconfirmed, QueueFull, Unroutable
from services.common.faults.amqp import amqp_fault
from services.common.faults.refusals import Refusals
from services.common.ports import DeadLetter
from services.common.schemas import JobMessage

T = TypeVar("T")

PROBE_SECONDS = 1.5  # readiness is asked with 2 s in all
SUBSCRIBE_SECONDS = 5.0
DEAD_LETTER_SECONDS = 10.0  # an operator's call, over up to ten thousand messages
PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class RabbitMQBroker:
    """Publishing has one connection and all other calls have one; each `consume` has its own.

    RabbitMQ with an alarm reads nothing more from a connection that publishes.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._refusals = Refusals("broker")
        self._calls = Calls(url, "studio calls", self._refusals)
        self._publishing = Calls(url, "studio publish", self._refusals)
        self._subscriptions: set[Subscription] = set()

    async def publish(
        self, message: JobMessage, headers: Mapping[str, str] | None = None, *, bulk: bool = False
    ) -> None:
        key = lane_of(message.model, bulk=bulk)
        await self._publish(message.model, message.message_id, message.encode(), headers, key)

    async def consume(
        self, model: str, prefetch: int, consuming: asyncio.Event | None = None
    ) -> AsyncGenerator[Delivery, None]:
        """Raises BackendRefused when it is refused from the start: then it never will without an operator."""
        consuming = consuming or asyncio.Event()
        subscribed = False
        while True:
            subscription = await self._subscribe(model, prefetch, again=subscribed)
            consuming.set()
            subscribed = True
            try:
                while delivery := await subscription.next():
                    yield delivery
            finally:
                consuming.clear()
                await subscription.end()
                self._subscriptions = {each for each in self._subscriptions if not each.closed}

    async def depth(self, model: str, *, bulk: bool | None = None) -> int:
        return await self._calls.make(CALL_SECONDS, lambda session: session.depth(model, lanes_of(model, bulk)))

    async def dead_letter_count(self) -> int:
        return await self._calls.make(CALL_SECONDS, Session.dead_letter_count)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return await self._on_channel(lambda channel: read_dead_letters(channel, limit))

    async def replay(self, message_id: str) -> bool:
        async def publish(letter: DeadLetter) -> None:
            await self._publish(letter.model, letter.message_id, letter.body)

        return await self._on_channel(lambda channel: take_dead_letter(channel, message_id, publish))

    async def drop(self, message_id: str) -> bool:
        return await self._on_channel(lambda channel: take_dead_letter(channel, message_id))

    async def ping(self, *, publishing: bool = False) -> None:
        await self._calls.make(CALL_SECONDS, Session.ping)
        if publishing:
            await self._publishing.make(PROBE_SECONDS, Session.probe)
        self._refusals.mended()

    async def close(self) -> None:
        """Close everything; unsettled deliveries go back to their queues."""
        owned: list[Calls | Subscription] = [self._calls, self._publishing, *self._subscriptions]
        await asyncio.gather(*(each.close() for each in owned))

    async def _publish(
        self, model: str, message_id: str, body: bytes, headers: Mapping[str, str] | None = None, key: str | None = None
    ) -> None:
        sending = False

        async def send(session: Session) -> None:
            nonlocal sending
            exchange = await session.exchange(model)
            sending = True
            envelope = Message(
                body,
                headers={**(headers or {})},
                message_id=message_id,
                delivery_mode=DeliveryMode.PERSISTENT,
                content_type="application/json",
            )
            await exchange.publish(envelope, routing_key=key or model, mandatory=True)

        try:
            await self._publishing.make(CALL_SECONDS, send)
        except PublishError as exc:
            self._publishing.session.forget_queue(model)
            raise Unroutable(model) from exc
        except DeliveryError as exc:
            raise QueueFull(model) from exc
        except BackendUnavailable as exc:
            if sending:
                raise PublishUnconfirmed(exc.__cause__) from exc
            raise

    async def _on_channel(self, work: Callable[[AbstractChannel], Awaitable[T]]) -> T:
        given_up = False

        async def call(session: Session) -> T:
            async with session.browsing:
                if given_up:  # the caller is gone, and others wait for the lock
                    raise TimeoutError
                channel = await session.new_channel()
                try:
                    return await work(channel)
                finally:
                    await channel.close()

        try:
            return await self._calls.make(DEAD_LETTER_SECONDS, call)
        except asyncio.CancelledError:
            given_up = True
            raise

    async def _subscribe(self, model: str, prefetch: int, *, again: bool) -> Subscription:
        """Try until the broker answers: a worker outlives its broker."""
        while True:
            subscription = Subscription()
            self._subscriptions.add(subscription)
            try:
                await within(SUBSCRIBE_SECONDS, subscription.open(self._url, model, prefetch))
            except FAILURES as exc:
                await self._drop(subscription)
                error = self._refusals.error(exc, amqp_fault(exc, self._url))
                if isinstance(error, BackendRefused) and not again:
                    raise error from exc
                if not error.cure:  # else it was told
                    log.warning("cannot consume", model=model, reason=str(exc))
                spread = random.uniform(0.5, 1.5)  # noqa: S311 - of reconnections, nothing secret  # nosec B311
                await asyncio.sleep(PAUSE_SECONDS * spread)
            except BaseException:
                await self._drop(subscription)
                raise
            else:
                log.info("consuming", model=model, prefetch=prefetch)
                return subscription

    async def _drop(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        await subscription.close()


@asynccontextmanager
async def open_rabbitmq_broker(url: str) -> AsyncIterator[RabbitMQBroker]:
    """Raise BackendUnavailable when the broker does not answer."""
    broker = RabbitMQBroker(url)
    try:
        await broker.ping()
        yield broker
    finally:
        await broker.close()
