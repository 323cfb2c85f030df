"""Make the parts of a request that both protocols have (its call of the application) and those of HTTP/2 (a buffer)."""

from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, BUFFER_LOW_WATER, BufferCompleteError, H2Protocol, StreamBuffer
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import AppWrapper


def http_stream(protocol: H11Protocol | H2Protocol, app: AppWrapper, stream_id: int) -> HTTPStream:
    """Return the call of the application for a request that came by this protocol."""
    return HTTPStream(
        app,
        protocol.config,
        protocol.context,
        protocol.task_group,
        protocol.ssl,
        protocol.client,
        protocol.server,
        protocol.stream_send,
        stream_id,
    )


class PacedStreamBuffer(StreamBuffer):
    """The bytes of an answer that wait for their client.

    Once it is full, the application waits until it is nearly empty. Hypercorn's own buffer lets the application go on
    whenever it has handed out few bytes, which it also does when the client allows none: the whole answer then gathers
    in memory.
    """

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
