"""What a network does to a connection, by the names Toxiproxy gives it (https://github.com/Shopify/toxiproxy).

A toxic sees the bytes of one direction of one connection, chunk by chunk. It is a method that passes on what is to be
sent, waits, or raises Cut; each connection has its own copy.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol


class Cut(Exception):
    """The connection ends here; with `reset` by an RST, which the peer sees as an error and not as an end."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class Toxic(Protocol):
    def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        """What becomes of a chunk. Raises Cut."""


@dataclass
class Latency:
    """Every chunk comes `seconds` later, give or take `jitter`."""

    seconds: float
    jitter: float = 0.0

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(max(0.0, self.seconds + random.uniform(-self.jitter, self.jitter)))  # noqa: S311
        yield data


@dataclass
class Bandwidth:
    """At most so many bytes a second."""

    bytes_a_second: float

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(len(data) / self.bytes_a_second)
        yield data


@dataclass
class Timeout:
    """A black hole: nothing gets through. After `seconds` the connection is closed, or never (0).

    What was sent arrives when the toxic is taken away, as TCP repeats what was lost; Toxiproxy would drop it.
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
    """The connection is reset, `seconds` after something was sent on it."""

    seconds: float = 0.0

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(self.seconds)
        if data:  # it always is; a generator has to yield
            raise Cut(reset=True)
        yield data


@dataclass
class Slicer:
    """Chunks come in slices of about so many bytes, with a pause between them."""

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
    """The connection is closed once so many bytes have gone through."""

    bytes_left: int

    async def pass_on(self, data: bytes) -> AsyncIterator[bytes]:
        yield data[: self.bytes_left]
        self.bytes_left -= len(data)
        if self.bytes_left <= 0:
            raise Cut
