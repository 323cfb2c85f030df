"""Dead letters for operators: list, inspect, replay and drop them. Knows no HTTP."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from services.api.core.gateway import Gateway
from services.common.errors import (
    BackendUnavailable,
    DeadLetterNotFound,
    DeadLetterUnreadable,
    InvalidMessage,
    JobNotFound,
    NewerVersion,
)
from services.common.ports import MAX_DEAD_LETTERS, Broker, DeadLetter
from services.common.schemas import JobMessage, StatusRecord

T = TypeVar("T")

GATEWAY_SECONDS: Final = 2.5  # for an answer of the broker: every endpoint answers within 3 s, whatever hangs


class DeadLetters:
    """Every method raises BackendUnavailable, and those that name a letter DeadLetterNotFound.

    The broker has `seconds` (None: as long as it takes) for each of its answers: it may look through thousands of
    letters.
    """

    def __init__(self, gateway: Gateway, broker: Broker, seconds: float | None = None) -> None:
        self._gateway = gateway
        self._broker = broker
        self._seconds = seconds

    async def list(self, limit: int) -> list[DeadLetter]:
        """Return the oldest letters first."""
        return await self._in_time(self._broker.dead_letters(limit))

    async def get(self, message_id: str) -> DeadLetter:
        for letter in await self.list(MAX_DEAD_LETTERS):
            if letter.message_id == message_id:
                return letter
        raise DeadLetterNotFound(message_id)

    async def job(self, letter: DeadLetter) -> StatusRecord | None:
        """Return the letter's job; None where the job is unknown or cannot be read. Raises JobRemoved."""
        job_id = job_id_of(letter)
        try:
            return None if job_id is None else await self._gateway.read(job_id)
        except JobNotFound:
            return None

    async def replay(self, message_id: str) -> StatusRecord | None:
        """Put the letter back on its queue, or, where its job is over, submit its parameters as a new job.

        Return the new job, None for a letter put back. A finished job stays finished: the next worker would only
        acknowledge its message. Raises DeadLetterUnreadable where no new job can be made of the letter, JobRemoved
        where the client removed the job, and as `Gateway.accept`.
        """
        letter = await self.get(message_id)
        fault, job = fault_of(letter), await self.job(letter)
        if job is None or not job.state.terminal:
            if not await self._in_time(self._broker.replay(message_id)):
                raise DeadLetterNotFound(message_id)
            return None
        if fault is not None:
            raise DeadLetterUnreadable(message_id, fault)
        message = JobMessage.decode(letter.body)
        body = {**message.params, "model": message.model}
        # With a key, so that a crash before the letter is dropped does not make two jobs of it.
        key = f"dead-letter-{message_id}"
        again, _ = await self._gateway.accept(body, owner=message.owner, idempotency_key=key, sees=lambda _owner: True)
        await self._in_time(self._broker.drop(message_id))
        return again

    async def drop(self, message_id: str) -> None:
        """Delete the letter for good. Its job, if there is one, stays as it is."""
        if not await self._in_time(self._broker.drop(message_id)):
            raise DeadLetterNotFound(message_id)

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await answer
        except TimeoutError as exc:
            raise BackendUnavailable("broker", f"no answer within {self._seconds} s") from exc


def fault_of(letter: DeadLetter) -> str | None:
    """Return why the letter is not understood; None for a readable one, whose job was poison or broke its limits."""
    try:
        JobMessage.decode(letter.body)
    except (InvalidMessage, NewerVersion) as exc:
        return str(exc)
    return None


def job_id_of(letter: DeadLetter) -> str | None:
    """Return the id of the letter's job; None for a letter that is too broken or too new to read."""
    try:
        return JobMessage.decode(letter.body).job_id
    except InvalidMessage as exc:
        return exc.job_id
    except NewerVersion:
        return None
