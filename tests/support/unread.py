"""Clients that ask for something and read nothing of the answer, over HTTP/1.1 or HTTP/2."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import h2.connection
from h2.config import H2Configuration

SECONDS: Final = 20.0
ENOUGH_BYTES: Final = 2000
BUFFER_BYTES: Final = 4096  # the least of an answer that the client's system takes by itself


def request(path: str, protocol: str, **headers: str) -> bytes:
    """Return what a client of this protocol ("1.1" or "2") sends for a GET; headers in words with underscores."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if protocol == "1.1":
        lines = [f"GET {path} HTTP/1.1", "host: studio", *(f"{name}: {value}" for name, value in sent.items())]
        return "\r\n".join([*lines, "", ""]).encode()
    connection = h2.connection.H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    pseudo = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "studio"}
    connection.send_headers(1, [*pseudo.items(), *sent.items()], end_stream=True)
    return connection.data_to_send()


def arrived(client: socket.socket) -> bool:
    """Return whether more has come than a refusal is long; it stays unread."""
    try:
        return len(client.recv(ENOUGH_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)) == ENOUGH_BYTES
    except BlockingIOError:
        return False


@contextmanager
def unread(address: tuple[str, int], requests: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Send each request over a connection of its own, on which nothing is read until the block ends."""
    with ExitStack() as stack:
        clients = []
        for each in requests:
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            client.settimeout(SECONDS)
            client.connect(address)
            client.sendall(each)
            clients.append(client)
        yield clients
