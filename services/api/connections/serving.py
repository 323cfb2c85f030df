"""Serves the connections that were accepted, and ends them without losing a request."""

import asyncio
import socket
from typing import Final

import structlog

from services.api.connections.connection import MAX_READ, Application, Connection
from services.api.connections.open_connections import OpenConnections

log = structlog.get_logger(__name__)

# Longer than a client waits between two polls of a job: an answer tells it that the connection ends.
LAST_REQUEST_SECONDS: Final = 3.0
# For clients to take what is said already, once the time for requests is over.
LAST_BYTES_SECONDS: Final = 2.0
ABORT_SECONDS: Final = 2.0


class Serving:
    """One task for each connection."""

    def __init__(self, application: Application, connections: OpenConnections) -> None:
        self._application = application
        self._connections = connections
        self._running: set[asyncio.Task[None]] = set()

    def take(self, accepted: socket.socket) -> None:
        """Begin to serve a connection that was admitted."""
        task = asyncio.get_running_loop().create_task(self._serve(accepted))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._connections.dismiss()

    async def drain(self, seconds: float) -> None:
        """End all connections, and give the requests that are open so many seconds.

        A connection without a request stays for LAST_REQUEST_SECONDS, since one may be on its way. From now on each
        answer says that it is the last of its connection.
        """
        self._connections.draining = True
        for connection in self._connections:
            connection.drain()
        last_request = min(LAST_REQUEST_SECONDS, seconds)
        await self._wait(last_request)
        leaving = [asyncio.create_task(connection.leave()) for connection in self._connections]
        await self._wait(seconds - last_request)
        for task in (*leaving, *self._running):
            task.cancel()
        await self._wait(LAST_BYTES_SECONDS)
        for connection in self._connections:
            connection.abort()
        await self._wait(ABORT_SECONDS)
        if self._running:
            log.error("connections do not end, left behind", count=len(self._running))

    async def _wait(self, seconds: float) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def _serve(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(MAX_READ)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted)
        except OSError:
            accepted.close()  # the client left at once
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            connection = Connection(self._application, self._connections, reader, writer)
        except OSError:
            transport.abort()  # the same
            return
        with self._connections.opened(connection):
            await connection.run()
