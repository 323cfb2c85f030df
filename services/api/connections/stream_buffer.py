"""The bytes of an HTTP/2 answer that wait for their client.

Hypercorn's own buffer lets the application go on whenever it has handed out few bytes, which it also does when the
client allows none: the whole answer then gathers in memory.
"""

from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, BUFFER_LOW_WATER, BufferCompleteError, StreamBuffer


class PacedStreamBuffer(StreamBuffer):
    """Once it is full, the application waits until it is nearly empty."""

    async def push(self, data: bytes) -> None:
        if self._complete:
            raise BufferCompleteError
        self.buffer.extend(data)
        await self._is_empty.clear()
        if len(self.buffer) >= BUFFER_HIGH_WATER:
            await self._paused.clear()
            await self._paused.wait()

    async def pop(self, max_length: int) -> bytes:
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data
