"""HTTP/1.1 of one connection: Hypercorn's protocol, and what it leaves out.

- The limit of a head is that of its bytes, in however many pieces they arrive. h11 counts only heads that are not
  complete yet.
- 100 Continue is sent when the application begins to read the body, so that a request can be refused first.
- No upgrade to HTTP/2 is made: a proxy would pass the switch on, and not understand what follows. A client may begin
  with HTTP/2 (RFC 9113, section 3.3).
- A method is passed on as it was sent. Methods differ by case (RFC 9110, section 9.1).
- The last answer of a connection says so.
"""

from dataclasses import replace
from typing import Any, Final

import h11
from hypercorn.events import Closed, Updated
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response
from hypercorn.protocol.h11 import STREAM_ID, H2ProtocolAssumedError, H11Protocol

from services.api.connections.streams import http_stream

_CLOSE: Final = (b"connection", b"close")


class Http1(H11Protocol):
    """While it is `draining`, each answer is the last of its connection, unless another request waits already."""

    draining = False

    @property
    def has_half_head(self) -> bool:
        """True if a part of a request's head has arrived, and no more."""
        return self.connection.their_state is h11.IDLE and bool(self.connection.trailing_data[0])

    async def leave(self) -> None:
        """End a connection without a request. Half a head is answered."""
        if self.has_half_head:
            await self._refuse(408)

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, Response) and event.status_code >= 200 and self._is_last_answer():
            event = replace(event, headers=[*event.headers, _CLOSE])
        await super().stream_send(event)

    def _is_last_answer(self) -> bool:
        if self.connection.they_are_waiting_for_100_continue:
            return True  # it is refused, and its body may come or not (RFC 9110, section 10.1.1)
        return self.draining and not self.connection.trailing_data[0]

    async def _handle_events(self) -> None:
        while (event := await self._next_event()) is not None:
            if isinstance(event, h11.Request):
                await self._check_protocol(event)
                await self.send(Updated(idle=False))
                await self._create_stream(event)
            elif event is h11.PAUSED:
                await self.can_read.clear()
                await self.can_read.wait()
            elif self.stream is None:
                return
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self.stream.handle(EndBody(stream_id=STREAM_ID))
            elif isinstance(event, Data):  # of a WebSocket
                await self.stream.handle(event)

    async def _next_event(self) -> Any:
        """Return the next part of what has arrived; None if it is not complete or was refused."""
        waits_for_head = self.connection.their_state is h11.IDLE
        arrived = len(self.connection.trailing_data[0]) if waits_for_head else 0
        try:
            event = self.connection.next_event()
        except h11.RemoteProtocolError as exc:
            await self._refuse(exc.error_status_hint)
            return None
        if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
            return None
        if event is h11.PAUSED and not self.connection.trailing_data[0]:
            return None  # an upgrade was offered: read on, to notice when the client leaves
        if isinstance(event, h11.Request):
            head = arrived - len(self.connection.trailing_data[0])
            if head > self.config.h11_max_incomplete_size:
                await self._refuse(431)
                return None
        return event

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.method == b"PRI" and event.target == b"*" and event.http_version == b"2.0":
            raise H2ProtocolAssumedError(b"PRI * HTTP/2.0\r\n\r\n" + self.connection.trailing_data[0])

    async def _create_stream(self, request: h11.Request) -> None:
        if _asks_for_websocket(request):
            await super()._create_stream(request)
            return
        app = self._asking_for_the_body if self.connection.they_are_waiting_for_100_continue else self.app
        self.stream = http_stream(self, app, STREAM_ID)
        self.keep_alive_requests += 1
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode("ascii"),
                method=request.method.decode("ascii"),
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    async def _asking_for_the_body(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        """Call the application; its first read asks the client, which waits for that, to send the body."""

        async def asking_receive() -> Any:
            if self.connection.they_are_waiting_for_100_continue:
                await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))
            return await receive()

        await self.app(scope, asking_receive, send, sync_spawn, call_soon)

    async def _refuse(self, status: int) -> None:
        if self.connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await self._send_error_response(status)
        await self.send(Closed())


def _asks_for_websocket(request: h11.Request) -> bool:
    """True for an upgrade that Hypercorn hands to the application as one. Most requests have no Upgrade at all."""
    return request.method == b"GET" and any(
        name == b"upgrade" and value.lower() == b"websocket" for name, value in request.headers
    )
