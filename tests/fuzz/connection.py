"""A connection to a server, kept for the next request unless the last one broke it."""

import socket
from contextlib import suppress
from http.client import HTTPMessage
from io import BufferedReader

from tests.fuzz.requests import GeneratedRequest
from tests.support.live_server import Answer, read_answer

SECONDS = 20.0


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._kept: tuple[socket.socket, BufferedReader] | None = None

    def exchange(self, request: GeneratedRequest) -> Answer:
        """Send the request and return the answer: status 0 and the reason as the body if there was none."""
        connection, reader = self._kept or self._connect()
        self._kept = None
        answer = _exchanged(connection, reader, request)
        if request.whole and answer.status and answer.headers.get("Connection") != "close":
            self._kept = connection, reader
        else:
            reader.close()
            connection.close()
        return answer

    def close(self) -> None:
        for each in self._kept or ():
            each.close()

    def _connect(self) -> tuple[socket.socket, BufferedReader]:
        connection = socket.create_connection(self._address, SECONDS)
        return connection, connection.makefile("rb")


def _exchanged(connection: socket.socket, reader: BufferedReader, request: GeneratedRequest) -> Answer:
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused half-way: the answer can still be read
            connection.sendall(request.data)
            if not request.whole:
                connection.shutdown(socket.SHUT_WR)
        return read_answer(reader, head=request.method == "HEAD")
    except (OSError, ValueError, IndexError) as exc:
        return Answer(0, HTTPMessage(), repr(exc).encode())
