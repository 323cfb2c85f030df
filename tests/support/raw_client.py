"""A raw connection that stays open."""

import socket
from http.client import HTTPMessage

from tests.support.live_server import read_answer
from tests.support.raw_http import get

PING = get("/livez")[0]
HALF = PING[:30]  # of its head
SECONDS = 20.0


class RawClient:
    """Sends bytes as they are, and reads answers; `rest` is what comes until the server closes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, SECONDS)
        self.reader = self.socket.makefile("rb")

    def ask(self, request: bytes = PING) -> HTTPMessage:
        """Send the request; its answer must be 200."""
        self.socket.sendall(request)
        return self.answer()

    def answer(self, status: int = 200) -> HTTPMessage:
        answer = read_answer(self.reader)
        assert answer.status == status
        return answer.headers

    def rest(self) -> bytes:
        """Return what comes until the server closes."""
        return self.reader.read()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()
