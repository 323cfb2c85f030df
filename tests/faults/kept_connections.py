"""Clients that keep their connections, as browsers, libraries and proxies do, and count requests without an answer."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from itertools import cycle
from typing import Final, Protocol, Self

import httpx2

from tests.support.live_server import read_answer
from tests.support.raw_http import get

PATH: Final = "/v1/queue"
EACH: Final = 4  # clients of each kind
PAUSES: Final = (0.0, 0.01, 0.1, 1.0)  # between the requests of a connection, in seconds
SECONDS: Final = 20.0
CONNECT_SECONDS: Final = 0.02  # between tries, while no gateway listens


class Kept(Protocol):
    """A connection that is open."""

    def ask(self) -> bool:
        """Send a request and return True if the connection may be used again after the answer.

        Raises ConnectionRefusedError if nothing was sent, and other errors if there was no answer.
        """

    def close(self) -> None: ...


class KeptConnections:
    """`with KeptConnections(address) as clients`: they ask while the block runs. `dropped` says what got no answer."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(kind, seed))
            for kind in (_Raw, _Library, _Http2)
            for seed in range(EACH)
        ]
        self.answered = 0
        self.dropped: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many more requests are answered. Raises AssertionError."""
        wanted, deadline = self.answered + count, time.monotonic() + seconds
        while self.answered < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"{wanted - self.answered} requests of {count} were not answered")
            time.sleep(CONNECT_SECONDS)

    def _run(self, connect: Callable[[tuple[str, int]], Kept], seed: int) -> None:
        pauses = cycle(PAUSES[seed:] + PAUSES[:seed])
        while not self._stopped.is_set():
            try:
                connection = connect(self._address)
            except OSError:
                self._stopped.wait(CONNECT_SECONDS)  # no gateway listens, and nothing was sent
                continue
            try:
                open_ = True
                while open_ and not self._stopped.is_set():
                    open_ = connection.ask()
                    self.answered += 1
                    self._stopped.wait(next(pauses))
            except ConnectionRefusedError:
                pass  # a library that connects by itself sent nothing
            except (OSError, ValueError, http.client.HTTPException, httpx2.TransportError) as exc:
                self.dropped.append(f"{connect.__name__}: {exc!r}")
            finally:
                connection.close()


class _Raw:
    """A socket of its own."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, SECONDS)
        self._reader = self._socket.makefile("rb")

    def ask(self) -> bool:
        self._socket.sendall(get(PATH)[0])
        answer = read_answer(self._reader)
        if answer.status != 200:
            raise ValueError(f"the answer was {answer.status}")
        return answer.headers["Connection"] != "close"

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


class _Library:
    """Python's own client."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._client = http.client.HTTPConnection(*address, timeout=SECONDS)
        self._client.connect()

    def ask(self) -> bool:
        self._client.request("GET", PATH)
        response = self._client.getresponse()
        response.read()
        if response.status != 200:
            raise ValueError(f"the answer was {response.status}")
        return not response.will_close

    def close(self) -> None:
        self._client.close()


class _Http2:
    """A client of HTTP/2, which opens a connection when it needs one."""

    def __init__(self, address: tuple[str, int]) -> None:
        socket.create_connection(address, SECONDS).close()
        self._client = httpx2.Client(base_url="http://{}:{}".format(*address), http1=False, http2=True, timeout=SECONDS)

    def ask(self) -> bool:
        try:
            response = self._client.get(PATH)
        except httpx2.ConnectError as exc:
            raise ConnectionRefusedError from exc
        if response.status_code != 200:
            raise ValueError(f"the answer was {response.status_code}")
        return True

    def close(self) -> None:
        self._client.close()
