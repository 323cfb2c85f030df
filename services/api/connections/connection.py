"""One client's connection: what it reads and sends, and how long it waits for its client."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H2ProtocolAssumedError
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr

from services.api.connections.http1 import Http1
from services.api.connections.http2 import Http2
from services.api.connections.open_connections import OpenConnections
from services.api.connections.request_tasks import RequestTasks

log = structlog.get_logger(__name__)

# For the whole head of a request, from the connection's begin or from the first byte of a later request.
HEAD_SECONDS: Final = 10.0
# Longer than the 60 s after which load balancers usually drop an idle connection: they must close first.
KEEP_ALIVE_SECONDS: Final = 75.0
# Closing a connection with unread bytes resets it, and its client can lose the answer before reading it.
LINGER_SECONDS: Final = 1.0
# For the end of an answer, and longer than the application waits for a client to take a piece (AnswerDeadline).
FLUSH_SECONDS: Final = 20.0
MAX_READ: Final = 2**16


@dataclass(frozen=True)
class Application:
    """An ASGI application, and what Hypercorn's protocols need to call it."""

    app: AppWrapper
    config: Config
    context: WorkerContext
    state: LifespanState


class Connection:
    """A connection has a request open, or waits for one (it is idle). Raises OSError if the client has left."""

    def __init__(
        self,
        application: Application,
        connections: OpenConnections,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._connections = connections
        self._reader = reader
        self._writer = writer
        self._tasks = RequestTasks(asyncio.get_running_loop())
        connection = writer.get_extra_info("socket")
        self._parts = (
            application.app,
            application.config,
            application.context,
            self._tasks,
            ConnectionState(application.state),
            False,  # no TLS
            parse_socket_addr(connection.family, connection.getpeername()),
            parse_socket_addr(connection.family, connection.getsockname()),
            self._send,
        )
        self._protocol: Http1 | Http2 = Http1(*self._parts)
        self._protocol.draining = connections.draining
        self._deadline: asyncio.Timeout | None = None  # of the reading
        self._idle = True
        self._has_head_deadline = True
        self._leaving = False  # once the open requests are answered
        self._ending = False  # everything is said

    async def run(self) -> None:
        """Answer the client's requests until either side closes. An error is logged and ends this connection alone."""
        try:
            async with self._tasks:
                await self._read()
        except Exception:
            log.exception("connection broke off")
        finally:
            await self._close()

    def drain(self) -> None:
        """Say with the next answer that it is the last."""
        self._protocol.draining = True

    async def leave(self) -> None:
        """Close the connection once its open requests are answered."""
        self._leaving = True
        if self._idle:
            self._allow(0)
        else:
            await self._protocol.leave()

    def abort(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    async def _read(self) -> None:
        self._connections.note_waiting(self)
        if await self._is_late(HEAD_SECONDS, b"") and not self._ending:
            # A request that arrives in the same moment is answered: its client could not know.
            if (data := await self._arrived_meanwhile()) and not self._protocol.has_half_head:
                self.drain()
                await self._is_late(HEAD_SECONDS, data)
            if not self._ending:
                await self._protocol.leave()
        await self._protocol.handle(Closed())
        if self._ending:
            await self._linger()

    async def _is_late(self, seconds: float, data: bytes) -> bool:
        """Read until the client closes, or is too late with what it has to send."""
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline as self._deadline:
                await self._read_requests(data)
        except OSError:  # the client left, if it is not late: the system may tell that with a TimeoutError as well
            return deadline.expired()
        finally:
            self._deadline = None
        return False

    async def _read_requests(self, data: bytes) -> None:
        while data := data or await self._reader.read(MAX_READ):
            await self._take(data)
            if self._ending:
                return
            if self._idle and not self._has_head_deadline and self._protocol.has_half_head:
                self._has_head_deadline = True
                self._allow(HEAD_SECONDS)
            data = b""
        await self._take(b"")

    async def _arrived_meanwhile(self) -> bytes:
        await asyncio.sleep(0)  # the loop reads what has arrived
        with suppress(OSError):
            async with asyncio.timeout(0):
                return await self._reader.read(MAX_READ)
        return b""

    async def _linger(self) -> None:
        with suppress(OSError):
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(MAX_READ):
                    pass

    async def _take(self, data: bytes) -> None:
        try:
            await self._protocol.handle(RawData(data))
        except H2ProtocolAssumedError as switch:
            draining = self._protocol.draining
            self._protocol = Http2(*self._parts)
            self._protocol.draining = draining
            await self._protocol.initiate()
            await self._protocol.handle(RawData(switch.data))

    async def _send(self, event: Event) -> None:
        """Do what the protocol asks for: send bytes, close, or wait for a request."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            self._end()
        elif isinstance(event, Updated):
            self._note(idle=event.idle)

    async def _write(self, data: bytes) -> None:
        """Write, and wait until the client takes it. An error ends the connection."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS) as limit:
                self._writer.write(data)
                await self._writer.drain()
        except (OSError, RuntimeError):
            if limit.expired():
                self.abort()
            await self._protocol.handle(Closed())
            self._end()  # the reading as well, which may wait for the end of an answer

    def _note(self, *, idle: bool) -> None:
        self._idle = idle
        if self._deadline is None or self._ending:
            return  # nothing is read any more
        self._has_head_deadline = False
        if idle:
            self._connections.note_waiting(self)
            self._allow(0 if self._leaving else KEEP_ALIVE_SECONDS)
        else:
            self._connections.note_request(self)
            self._allow(None)

    def _end(self) -> None:
        self._ending = True
        with suppress(OSError, RuntimeError):
            self._writer.write_eof()
        self._allow(0)

    def _allow(self, seconds: float | None) -> None:
        """Give the client so many seconds from now. None: as long as the request takes."""
        if self._deadline is not None and not self._deadline.expired():
            now = asyncio.get_running_loop().time()
            self._deadline.reschedule(None if seconds is None else now + seconds)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                self._writer.close()
                await self._writer.wait_closed()
        except TimeoutError:
            self.abort()
        except OSError:
            pass  # the client was faster
