"""A real server on loopback in its own thread, and raw requests to it."""

import asyncio
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPMessage, parse_headers
from io import BufferedReader
from typing import Self

import uvloop

from services.api.app import create_app
from services.api.core.metrics import Metrics
from services.api.server import serve
from services.common.backends import Backends, open_backends
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings
from tests.support.polling import poll

SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """A response as received; `status` is 0 when the server closed the connection without one."""

    status: int
    headers: HTTPMessage
    body: bytes


class LiveGateway:
    """`with LiveGateway(settings, catalogue) as live`: it serves when the block begins and has drained when it ends."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._settings = settings
        self.metrics = Metrics()
        self._app = create_app(settings, catalogue, metrics=self.metrics)
        self._thread = threading.Thread(target=self._run, name="gateway")
        self._listening = threading.Event()
        self.loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.backends: Backends
        self.failure: BaseException | None = None
        self.url = ""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(SECONDS)
        if self.failure:
            raise self.failure
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self.failure:
            raise self.failure

    def stop(self) -> None:
        """Begin the shutdown; the end of the block waits for it."""
        with suppress(RuntimeError):  # it has stopped already
            self.loop.call_soon_threadsafe(self._stop.set)

    def count(self, metric: str, **labels: str) -> float:
        """Return a figure of the gateway's metrics."""
        return self.metrics.registry.get_sample_value(metric, labels) or 0.0

    def wait_for_connections(self, count: int) -> None:
        """Wait until so many connections are open, which takes a moment only."""
        poll(lambda: self.count("studio_connections") == count, 5, lambda: self.count("studio_connections"))

    def live_jobs(self) -> list[str]:
        """Return the ids of all jobs that have not ended."""
        listing = asyncio.run_coroutine_threadsafe(self.backends.statuses.list(), self.loop)
        return [record.job_id for record in listing.result(SECONDS)]

    def exchange(self, *parts: bytes, answers: int = 1, method: str = "") -> list[Answer]:
        """Send the parts over a new connection and return as many responses as `answers` says."""
        with socket.create_connection(self.address, SECONDS) as connection, connection.makefile("rb") as reader:
            _send(connection, parts)
            return [read_answer(reader, head=method == "HEAD") for _ in range(answers)]

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread of the test
            self.failure = exc
        finally:
            self._listening.set()

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_backends(self._settings) as self.backends:
            await serve(self._app, self._settings, self._stop, self._ready, self.metrics)

    def _ready(self, url: str) -> None:
        self.url = url
        self._listening.set()


def _send(connection: socket.socket, parts: Iterable[bytes]) -> None:
    try:
        for part in parts:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused half-way: the response can still be read


def read_answer(reader: BufferedReader, *, head: bool = False) -> Answer:
    """Return the next response, after those of the status 100. `head`: it is that to a HEAD request."""
    line = reader.readline()
    if not line:
        return Answer(0, HTTPMessage(), b"")
    status = int(line.split()[1])
    headers = parse_headers(reader)
    if status == 100:
        return read_answer(reader, head=head)
    if head or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("Transfer-Encoding") == "chunked":
        return Answer(status, headers, _read_chunks(reader))
    length = headers.get("Content-Length")
    return Answer(status, headers, reader.read() if length is None else reader.read(int(length)))


def _read_chunks(reader: BufferedReader) -> bytes:
    body = b""
    while size := int(reader.readline(), 16):
        body += reader.read(size)
        reader.readline()
    reader.readline()
    return body
