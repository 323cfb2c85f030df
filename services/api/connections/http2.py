"""HTTP/2 of one connection: Hypercorn's protocol, and an end that drops no request.

h2 takes a connection for closed from the moment it has sent GOAWAY, and would send no answer after that. The frame is
therefore written past it. Streams up to the last one that it names go on; later ones are refused, which tells their
client that they were not processed and may be sent again (RFC 9113, sections 6.8 and 8.7).
"""

from contextlib import suppress
from typing import Final

from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamReset
from h2.events import Event as Frame
from h2.exceptions import ProtocolError
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import EndBody, Event, Request, StreamClosed
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.utils import filter_pseudo_headers
from hyperframe.frame import GoAwayFrame
from priority.priority import DuplicateStreamError

from services.api.connections.streams import PacedStreamBuffer, http_stream

_IN_ASCII: Final = (b":method", b":path")
_HEADER_BYTES: Final = 32  # that each header counts beyond its own (RFC 9113, section 6.5.2)


class Http2(H2Protocol):
    """While it is `draining`, the connection ends after the first answer that leaves no other request open."""

    draining = False
    has_half_head = False  # bytes of an idle connection may as well be a ping
    _requests = 0
    _last_stream: int | None = None  # the last one that is answered, once the client was told so

    async def initiate(self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None) -> None:
        self._unsent: set[int] = set()  # streams whose whole answer is made, and not all of it sent
        await super().initiate(headers, settings)

    async def handle(self, event: ConnectionEvent) -> None:
        await super().handle(event)
        if isinstance(event, Closed):  # nothing is sent any more, and no answer need wait for that
            for buffer in tuple(self.stream_buffers.values()):
                await buffer.close()

    async def leave(self) -> None:
        """Answer the requests that have come, refuse later ones, and close the connection."""
        if self._last_stream is None:
            self._last_stream = self.connection.highest_inbound_stream_id
            await self._flush()
            await self.send(RawData(GoAwayFrame(last_stream_id=self._last_stream).serialize()))
        if self._all_is_sent():
            await self.send(Closed())

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, EndBody) and event.stream_id in self.stream_buffers:
            self._unsent.add(event.stream_id)
        is_cut_off = event.stream_id in self.stream_buffers and event.stream_id not in self._unsent
        await super().stream_send(event)
        if isinstance(event, StreamClosed):
            if is_cut_off:  # its client may wait for the rest
                await self._reset(event.stream_id)
            await self._leave_if_it_is_time()

    async def _reset(self, stream_id: int) -> None:
        with suppress(ProtocolError):  # the client has reset it already
            self.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        await self._flush()
        await self._drop(stream_id)

    async def _drop(self, stream_id: int) -> None:
        """Forget what is left of an answer that was reset. Hypercorn keeps it where its client lets nothing be sent."""
        if (buffer := self.stream_buffers.get(stream_id)) is not None:
            await buffer.close()
            await self._window_updated(stream_id)  # the sending task ends a stream with nothing left

    async def _send_data(self, stream_id: int) -> None:
        await super()._send_data(stream_id)
        if stream_id in self._unsent and stream_id not in self.stream_buffers:
            self._unsent.remove(stream_id)
            await self._leave_if_it_is_time()

    async def _leave_if_it_is_time(self) -> None:
        """Leave when all is sent: some clients drop an answer if GOAWAY comes before its end."""
        worn_out = self._requests >= self.config.keep_alive_max_requests
        if (self.draining or worn_out or self._last_stream is not None) and self._all_is_sent():
            await self.leave()

    def _all_is_sent(self) -> bool:
        return not self.streams and not self._unsent

    async def _handle_events(self, events: list[Frame]) -> None:
        for event in events:
            if isinstance(event, StreamReset) and event.stream_id in self.streams:
                await super()._handle_events([event])
                await self._note_reset(event.stream_id)
            elif not self._is_left_out(event):
                await super()._handle_events([event])
        await self._flush()
        if self._requests >= 2 * self.config.keep_alive_max_requests:
            await self.leave()  # a client that is never idle

    async def _note_reset(self, stream_id: int) -> None:
        """Do what the end of an answer does: Hypercorn sends none for a request that its client took back."""
        await self._drop(stream_id)
        if self.idle:
            await self.send(Updated(idle=True))
        await self._leave_if_it_is_time()

    def _is_left_out(self, event: Frame) -> bool:
        """True for a request that is refused here, and for what still comes of one that is answered already."""
        if isinstance(event, DataReceived) and event.stream_id not in self.streams:
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            return True
        if not isinstance(event, RequestReceived):
            return False
        status = self._refusal(event)
        with suppress(ProtocolError):  # the client has reset it already
            if self._last_stream is not None:
                self.connection.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            elif status is not None:
                answer = [(b":status", status), (b"content-length", b"0")]
                self.connection.send_headers(event.stream_id, answer, end_stream=True)
        return self._last_stream is not None or status is not None

    def _refusal(self, request: RequestReceived) -> bytes | None:
        size = sum(len(name) + len(value) + _HEADER_BYTES for name, value in request.headers)
        if size > self.config.h2_max_header_list_size:
            return b"431"
        return None if all(value.isascii() for name, value in request.headers if name in _IN_ASCII) else b"400"

    async def _create_stream(self, request: RequestReceived) -> None:
        pseudo = {name: value for name, value in request.headers if name.startswith(b":")}
        self._requests += 1
        if b":protocol" in pseudo:  # a WebSocket
            await super()._create_stream(request)
            return
        stream_id = request.stream_id
        stream = http_stream(self, self.app, stream_id)
        self.streams[stream_id] = stream
        self.stream_buffers[stream_id] = PacedStreamBuffer(self.context.event_class)
        try:
            self.priority.insert_stream(stream_id)
        except DuplicateStreamError:
            pass  # PRIORITY came before HEADERS
        else:
            self.priority.block(stream_id)
        await stream.handle(
            Request(
                stream_id=stream_id,
                headers=filter_pseudo_headers(request.headers),
                http_version="2",
                method=pseudo[b":method"].decode("ascii"),
                raw_path=pseudo.get(b":path", pseudo.get(b":authority", b"")),  # CONNECT has no path
                state=self.connection_state,
            )
        )
