"""Calls on one connection to RabbitMQ, each with a deadline."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from aio_pika.exceptions import DeliveryError, PublishError

from services.common.brokers.amqp.deadline import FAILURES, within
from services.common.brokers.amqp.session import Session
from services.common.budget import allowed
from services.common.faults.amqp import BLOCKED, amqp_fault
from services.common.faults.refusals import Refusals

T = TypeVar("T")

CALL_SECONDS: Final = 2.5
REFUSED_SECONDS: Final = 1.0  # a session that is refused messages is replaced at most this often


class Calls:
    """The calls share a session, which is replaced when one of them fails. RabbitMQ lists its connection as `name`."""

    def __init__(self, url: str, name: str, refusals: Refusals) -> None:
        self._url = url
        self._name = name
        self._refusals = refusals
        self.session = Session(url, name)
        self._began = time.monotonic()
        self._retired: dict[Session, asyncio.Task[None]] = {}

    async def make(self, seconds: float, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Return what `work` returns. Raise BackendUnavailable, and DeliveryError as it comes: that is an answer."""
        session, patience = self.session, 0.0
        try:
            patience = allowed(seconds)
            if await session.blocked():
                raise TimeoutError
            return await within(seconds, work(session), patience)
        except PublishError:
            raise
        except DeliveryError:
            # The queue is full, or it had no leader when the channel was opened: RabbitMQ 3.10 then refuses all that
            # comes on this channel, as long as the node of the former leader is down.
            if time.monotonic() - self._began > REFUSED_SECONDS:
                self._replace(session)
            raise
        except FAILURES as exc:
            if await session.blocked():  # it stays: a new one would take one message before it is blocked as well
                raise self._refusals.error("it takes no messages", BLOCKED) from exc
            cut_short = isinstance(exc, TimeoutError) and patience < seconds / 2
            if not cut_short:  # such a call says little of the session
                self._replace(session)
            raise self._refusals.error(exc, amqp_fault(exc, self._url)) from exc

    async def close(self) -> None:
        for closing in self._retired.values():
            closing.cancel()
        await asyncio.gather(*(each.close() for each in (self.session, *self._retired)))

    def _replace(self, session: Session) -> None:
        if session is self.session:
            self.session = Session(self._url, self._name)
            self._began = time.monotonic()
            self._retired[session] = asyncio.create_task(self._retire(session))

    async def _retire(self, session: Session) -> None:
        await asyncio.sleep(CALL_SECONDS)  # other calls may still get their answers on it
        await session.close()
        del self._retired[session]
