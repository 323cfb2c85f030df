"""Clients that wait for their job, and sent no Idempotency-Key: when one sends its request again, or leaves.

OpenAI's clients send no key, but after a timeout or a lost connection they send the request again, and say how often
they did before. So a request without a key gets a stand-in key, and a request sent again gets the one of its earlier
sending: the status store then makes both the same job, as it does with any key, on whichever gateways they arrive.

Which key that is, is in the cache: one entry a request, in a folder named after the fingerprint of caller and body,
with the number of the latest sending. A sending takes only an entry with a lower number than its own, so equal
requests that are under way at once keep a job each. Without the cache a request sent again makes a new job, and a
client that leaves cancels none.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.ids import new_job_id
from services.common.schemas import StatusRecord

# Of the stand-in keys: a job with one of these is canceled once its client has left and no other watches it.
PREFIX: Final = "unkeyed-"
ANSWERED_SECONDS: Final = 30.0  # within which a lost answer is asked for again
# OpenAI's clients wait for 0.5 s before they send again, then twice as long each time, up to 8 s.
_FIRST_DELAY: Final = 0.5
_MOST_DELAY: Final = 8.0
_CONNECT_SECONDS: Final = 1.5


@dataclass(frozen=True)
class Sending:
    """One sending of a request. `number` counts from 0; None for a client that does not send again by itself."""

    key: str
    fingerprint: str
    number: int | None

    @property
    def entry(self) -> str:
        """The key of the request's entry in the cache."""
        return f"{_folder(self.fingerprint)}/{self.key}"

    @property
    def patience(self) -> float:
        """Seconds within which the client sends again, if it does so at all."""
        if self.number is None:
            return 0.0
        return float(min(_FIRST_DELAY * 2 ** min(self.number, 10), _MOST_DELAY)) + _CONNECT_SECONDS


class WaitingClients:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._taking: dict[str, int] = {}

    async def sending(self, fingerprint: str, number: int | None, seconds: float) -> Sending:
        """Return the sending with its stand-in key: that of an earlier sending of the same request, or a new one.

        The key can be found for so many seconds.
        """
        if number is None:
            return Sending(_new_key(), fingerprint, None)
        key = await self._earlier_key(fingerprint, number) if number else None
        sending = Sending(key or _new_key(), fingerprint, number)
        self._taking[sending.entry] = number
        try:
            await self._note(sending, seconds)
        finally:
            del self._taking[sending.entry]
        return sending

    async def answered(self, sending: Sending) -> None:
        """Keep the key for a while: the answer may be lost on its way."""
        await self._note(sending, ANSWERED_SECONDS)

    async def forget(self, sending: Sending) -> None:
        """Have the next sending make a new job."""
        if sending.number is not None:
            with suppress(BackendUnavailable):
                await self._cache.delete([sending.entry])

    async def have_left(self, sending: Sending, job_id: str) -> bool:
        """Return whether no client is left to the job, once its own can have sent the request again.

        False as well where the cache cannot tell.
        """
        await asyncio.sleep(sending.patience)
        try:
            if await self._cache.get(_watched(job_id)) is not None:
                return False
            return sending.number is None or await self._cache.get(sending.entry) == _value(sending.number)
        except BackendUnavailable:
            return False

    async def watch(self, job: StatusRecord, seconds: float) -> None:
        """Note that a client looks at the job, and will again within so many seconds."""
        if not job.state.terminal and (job.idempotency_key or "").startswith(PREFIX):
            with suppress(BackendUnavailable):
                await self._cache.put(_watched(job.job_id), b"1", seconds)

    async def _earlier_key(self, fingerprint: str, number: int) -> str | None:
        """Return the newest key that a sending of this number may take."""
        found: dict[str, bytes] = {}
        with suppress(BackendUnavailable):
            found = await self._cache.list(_folder(fingerprint))
        for entry in sorted(found, reverse=True):
            # What another request of this process is about to take counts as taken.
            if max(int(found[entry]), self._taking.get(entry, 0)) < number:
                return entry.rpartition("/")[2]
        return None

    async def _note(self, sending: Sending, seconds: float) -> None:
        if sending.number is not None:
            with suppress(BackendUnavailable):
                await self._cache.put(sending.entry, _value(sending.number), seconds)


def _new_key() -> str:
    return PREFIX + new_job_id()  # sorts by time


def _folder(fingerprint: str) -> str:
    return f"sendings/{fingerprint}"


def _watched(job_id: str) -> str:
    return f"watched/{job_id}"


def _value(number: int) -> bytes:
    return str(number).encode()
