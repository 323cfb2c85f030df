"""What an operator does with dead letters: looks at them, has them tried again, forgets them. Knows no HTTP."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

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


class DeadLetters:
    """Every method raises BackendUnavailable, and those that name a letter DeadLetterNotFound.

    The broker has `seconds` for each of its answers, which may mean looking through thousands of letters.
    """

    def __init__(self, gateway: Gateway, broker: Broker, seconds: float | None = None) -> None:
        self._gateway = gateway
        self._broker = broker
        self._seconds = seconds

    async def list(self, limit: int) -> list[DeadLetter]:
        """The oldest first."""
        return await self._in_time(self._broker.dead_letters(limit))

    async def get(self, message_id: str) -> DeadLetter:
        for letter in await self.list(MAX_DEAD_LETTERS):
            if letter.message_id == message_id:
                return letter
        raise DeadLetterNotFound(message_id)

    async def job(self, letter: DeadLetter) -> StatusRecord | None:
        """The job it is about; None where that is not known or cannot be read. Raises JobRemoved."""
        job_id = job_id_of(letter)
        try:
            return None if job_id is None else await self._gateway.read(job_id)
        except JobNotFound:
            return None

    async def replay(self, message_id: str) -> StatusRecord | None:
        """Back to its queue as it is, or, where its job is over, the new job that does the same again.

        What is over stays over: its message would be acked by the next worker and nothing would come of it. Raises
        DeadLetterUnreadable where no new job can be made of it, JobRemoved where the client wanted the job gone, and
        what `Gateway.accept` raises.
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
        # With a key, so that a crash before the letter is gone does not make two jobs of it.
        again, _ = await self._gateway.accept(body, owner=message.owner, idempotency_key=f"dead-letter-{message_id}")
        await self._in_time(self._broker.drop(message_id))
        return again

    async def drop(self, message_id: str) -> None:
        """For good. Its job, if there is one, stays as it is."""
        if not await self._in_time(self._broker.drop(message_id)):
            raise DeadLetterNotFound(message_id)

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                return await answer
        except TimeoutError as exc:
            raise BackendUnavailable("broker", f"no answer within {self._seconds} s") from exc


def fault_of(letter: DeadLetter) -> str | None:
    """Why it cannot be understood; None where it can, so that its job was poison or broke its model's limits."""
    try:
        JobMessage.decode(letter.body)
    except (InvalidMessage, NewerVersion) as exc:
        return str(exc)
    return None


def job_id_of(letter: DeadLetter) -> str | None:
    """None where it is too broken, or too new, to tell."""
    try:
        return JobMessage.decode(letter.body).job_id
    except InvalidMessage as exc:
        return exc.job_id
    except NewerVersion:
        return None
