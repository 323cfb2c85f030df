"""Network faults of a connection, under the names of Toxiproxy (https://github.com/Shopify/toxiproxy).

A toxic gets the bytes of one direction of one connection, chunk by chunk. Its method `pass_on` yields the bytes to
send, waits, or raises Cut. Each connection has its own copy.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol


class Cut(Exception):
    """The connection ends; with `reset` by an RST, which the peer sees as an error instead of an end of file."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class Toxic(Protocol):
    def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        """Yield the bytes to send for this chunk. Raises Cut to end the connection."""


@dataclass
class Latency:
    """Every chunk arrives `seconds` later, plus or minus `jitter`."""

    seconds: float
    jitter: float = 0.0

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(max(0.0, self.seconds + random.uniform(-self.jitter, self.jitter)))  # noqa: S311
        yield data


@dataclass
class SlowAnswers:
    """The first bytes after a pause, so those of an answer, arrive `seconds` later, and the others at once."""

    seconds: float
    pause_seconds: float = 0.1
    passed_at: float = 0.0

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        if clock() - self.passed_at > self.pause_seconds:
            await asyncio.sleep(self.seconds)
        self.passed_at = clock()
        yield data


@dataclass
class Bandwidth:
    """At most `bytes_a_second` pass."""

    bytes_a_second: float

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(len(data) / self.bytes_a_second)
        yield data


@dataclass
class Timeout:
    """Nothing gets through. The connection is closed after `seconds`, or never (0).

    The bytes sent meanwhile arrive when the toxic is removed, as TCP retransmits; Toxiproxy would drop them.
    """

    seconds: float = 0.0
    healed: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(self.seconds or None):
                await self.healed.wait()
        except TimeoutError:
            raise Cut from None
        yield data


@dataclass
class ResetPeer:
    """The connection is reset `seconds` after bytes were sent on it."""

    seconds: float = 0.0

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(self.seconds)
        if data:  # always true; a generator needs a yield
            raise Cut(reset=True)
        yield data


@dataclass
class Slicer:
    """Chunks arrive in slices of about `average_bytes`, `seconds` apart."""

    average_bytes: int
    seconds: float = 0.0

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        at = 0
        while at < len(data):
            size = max(1, round(self.average_bytes * random.uniform(0.5, 1.5)))  # noqa: S311
            yield data[at : at + size]
            at += size
            await asyncio.sleep(self.seconds)


@dataclass
class LimitData:
    """The connection is closed once `bytes_left` have passed."""

    bytes_left: int

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        yield data[: self.bytes_left]
        self.bytes_left -= len(data)
        if self.bytes_left <= 0:
            raise Cut
