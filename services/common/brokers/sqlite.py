"""The embedded broker: one table in an SQLite file, shared by the gateway's process and the workers'.

A delivered message carries a lease, which its consumer's process renews, so the messages of a killed
worker are delivered again when it runs out. Unlike RabbitMQ it holds a `message_id` only once: publishing it
again while it is queued changes nothing, where RabbitMQ may deliver it twice. Unroutable cannot happen.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog

from services.common.brokers import sqlite_queue
from services.common.brokers.delivery import Delivery, Settlement
from services.common.brokers.lanes import lanes_of
from services.common.brokers.slots import Slots
from services.common.brokers.wakeup import Wakeup
from services.common.errors import BackendUnavailable, PublishUnconfirmed, QueueFull
from services.common.ports import DeadLetter
from services.common.schemas import JobMessage
from services.common.sqlite.clock import SQLiteClock
from services.common.sqlite.file import SQLiteFile, open_sqlite

POLL_SECONDS = 0.25  # behind the wake-up, and what notices leases that ran out
CLAIMED_AT_ONCE = 4  # in one transaction; so few that idle workers share messages that come together
RETRY_SECONDS = 1.0  # a consumer's pause while the file cannot be used

_log = structlog.get_logger(__name__)


class SQLiteBroker:
    """See the port `Broker`. Opened by `open_sqlite_broker`."""

    def __init__(
        self, file: SQLiteFile, clock: SQLiteClock, wakeup: Wakeup, *, queue_limit: int, lease_seconds: float
    ) -> None:
        self._file = file
        self._clock = clock
        self._wakeup = wakeup
        self._queue_limit = queue_limit
        self._lease_seconds = lease_seconds
        self._in_hand: dict[str, tuple[Slots, bool]] = {}  # token -> the consumer's slots, and which lane's it holds

    async def publish(
        self, message: JobMessage, headers: Mapping[str, str] | None = None, *, bulk: bool = False
    ) -> None:
        queued = sqlite_queue.QueuedMessage(message.message_id, message.model, message.encode(), headers or {}, bulk)
        try:
            accepted = await self._file.write(partial(sqlite_queue.insert, queued, self._queue_limit, self._clock()))
        except BackendUnavailable as exc:
            raise PublishUnconfirmed(exc.__cause__ or exc) from exc
        if not accepted:
            raise QueueFull(message.model)
        self._wakeup.notify()

    async def consume(
        self, model: str, prefetch: int, consuming: asyncio.Event | None = None
    ) -> AsyncGenerator[Delivery, None]:
        consuming = consuming or asyncio.Event()
        self._wakeup.listen()
        slots, claimed = Slots(prefetch), dict[str, Delivery]()
        try:
            while True:
                claimed = await self._next(model, slots, consuming)
                for token in tuple(claimed):
                    yield claimed.pop(token)
        finally:
            consuming.clear()
            if claimed:
                await self._unclaim(*claimed)

    async def depth(self, model: str, *, bulk: bool | None = None) -> int:
        return await self._file.read(partial(sqlite_queue.depth, lanes_of(model, bulk), self._clock()))

    async def dead_letter_count(self) -> int:
        return await self._file.read(sqlite_queue.dead_letter_count)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return await self._file.read(partial(sqlite_queue.dead_letters, limit))

    async def replay(self, message_id: str) -> bool:
        replayed = await self._file.write(partial(sqlite_queue.replay, message_id))
        self._wakeup.notify()
        return replayed

    async def drop(self, message_id: str) -> bool:
        return await self._file.write(partial(sqlite_queue.drop, message_id))

    async def ping(self, *, publishing: bool = False) -> None:  # noqa: ARG002 - to consume is to write as well
        await self._file.ping()
        await self.depth("")

    async def renew_leases(self) -> None:
        """Renew the leases of unsettled deliveries, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            if self._in_hand:
                until = self._clock() + self._lease_seconds
                try:
                    await self._file.write(partial(sqlite_queue.renew, tuple(self._in_hand), until))
                except BackendUnavailable as exc:
                    _log.warning("leases not renewed", reason=str(exc))

    async def give_back(self) -> None:
        """Requeue unsettled deliveries, as a server does when a connection closes."""
        tokens = tuple(self._in_hand)
        self._in_hand.clear()
        if tokens:
            with suppress(BackendUnavailable):  # then the leases run out
                await self._file.write(partial(sqlite_queue.renew, tokens, 0.0))
            self._wakeup.notify()

    async def _next(self, model: str, slots: Slots, consuming: asyncio.Event) -> dict[str, Delivery]:
        told = False
        while True:
            await slots.any_free()
            woken = self._wakeup.arm()  # before looking, so that nothing published in between is slept through
            try:
                claimed = await self._claim(model, slots)
                consuming.set()
                if claimed:
                    return claimed
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await woken
            except BackendUnavailable as exc:
                if self._file.closed:
                    raise
                consuming.clear()
                if not told:
                    _log.warning("queue out of reach", model=model, reason=str(exc))
                told = True
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                woken.cancel()

    async def _claim(self, model: str, slots: Slots) -> dict[str, Delivery]:
        """Lease messages; return the deliveries by token, in the order of the queue."""
        tokens = tuple(uuid4().hex for _ in range(min(CLAIMED_AT_ONCE, slots.most_at_once)))
        request = sqlite_queue.LeaseRequest(model, slots.free_lanes, tokens, self._clock(), self._lease_seconds)
        try:
            rows = await self._file.write(partial(sqlite_queue.claim_next, request))
        except asyncio.CancelledError:
            await self._unclaim(*tokens)
            raise
        claimed = {}
        for token, (body, message_id, deliveries, headers, bulk) in zip(tokens, rows, strict=False):
            slots.take(bulk=bulk)
            self._in_hand[token] = slots, bulk
            settle = partial(self._settle, token)
            claimed[token] = Delivery(body, message_id, deliveries, settle, headers, bulk)
        return claimed

    async def _unclaim(self, *tokens: str) -> None:
        """Requeue messages that may be leased but were not handed out. If this fails, their leases run out."""
        for token in tokens:
            self._in_hand.pop(token, None)
        with suppress(BackendUnavailable):
            await asyncio.shield(self._file.write(partial(sqlite_queue.unclaim, tokens)))
        self._wakeup.notify()

    async def _settle(self, token: str, settlement: Settlement) -> None:
        held = self._in_hand.pop(token, None)
        if held is None:
            return  # settled before, or given back
        slots, bulk = held
        try:
            # Shielded: a consumer cancelled again while it settles must not lose the settlement.
            await asyncio.shield(self._file.write(partial(sqlite_queue.settle, token, settlement)))
        finally:
            if slots.give_back(bulk=bulk):
                self._wakeup.look_again()  # the consumer may be waiting for the other lane alone
        if settlement in (Settlement.REQUEUE, Settlement.RETRY):
            self._wakeup.notify()


@asynccontextmanager
async def open_sqlite_broker(path: Path, *, queue_limit: int, lease_seconds: float) -> AsyncIterator[SQLiteBroker]:
    """Open the queue in this file, made where missing. Closing requeues deliveries not settled.

    `queue_limit` counts ready messages per model. Raises BackendUnavailable when the file cannot be used.
    """
    wakeup = Wakeup(path)
    async with open_sqlite(path, "broker", sqlite_queue.SCHEMA) as file:
        clock = await file.write(sqlite_queue.begin_clock)
        broker = SQLiteBroker(file, clock, wakeup, queue_limit=queue_limit, lease_seconds=lease_seconds)
        renewal = asyncio.create_task(broker.renew_leases())
        try:
            yield broker
        finally:
            renewal.cancel()
            await asyncio.wait((renewal,))
            wakeup.close()
            await broker.give_back()
