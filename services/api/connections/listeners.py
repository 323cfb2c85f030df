"""Accepts connections by itself, for two things that the event loop's own servers do not do.

At the limit of open files libuv closes every connection that waits, without a word. Here they wait for a file, and that
is counted and logged. And a server that stops resets the connections that only the system has accepted so far. Here
these are taken first.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from services.api.connections.open_connections import OpenConnections
from services.common.faults.disk import TOO_MANY

_BACKLOG: Final = 1024  # connections that wait while the loop is late
_AT_ONCE: Final = 32  # before requests have their turn
_FREED_SECONDS: Final = 0.002  # until the loop has closed a file
_PAUSE_SECONDS: Final = 0.1
_FULL: Final = b"HTTP/1.1 503 \r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class Listeners:
    """Sockets that are bound. `take` gets every connection there is room for, as a socket that does not block."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connections: OpenConnections,
        take: Callable[[socket.socket], None],
    ) -> None:
        self._sockets = sockets
        self._connections = connections
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def open(self) -> None:
        """Accept connections from now on. Raises OSError."""
        for listener in self._sockets:
            listener.listen(_BACKLOG)
            self._watch(listener)

    def close(self) -> None:
        """Accept those that wait, and no more."""
        self._closed = True
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            with suppress(OSError):
                while True:
                    self._accept_one(listener)
            listener.close()

    def _watch(self, listener: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            for _ in range(_AT_ONCE):
                self._accept_one(listener)
        except BlockingIOError:
            pass  # no more wait
        except OSError as exc:
            has_file_soon = exc.errno in TOO_MANY and self._connections.free_file()
            self._loop.remove_reader(listener)
            self._loop.call_later(_FREED_SECONDS if has_file_soon else _PAUSE_SECONDS, self._watch, listener)

    def _accept_one(self, listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.settimeout(0)
        if self._connections.admit():
            self._take(accepted)
            return
        with suppress(OSError):
            accepted.recv(2**16)  # unread bytes would reset the connection, and the client would not see the answer
        with accepted, suppress(OSError):
            accepted.send(_FULL)
