"""A load generator that uses little CPU time: prepared requests, sent in sequence over kept connections."""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

CONNECTIONS = 16
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """Whole HTTP/1.1 requests, and the expected status of every answer."""

    requests: Sequence[bytes]
    status: int


@dataclass(frozen=True)
class Pace:
    """Requests a second over all connections, and the 99th percentile of the answer time in milliseconds."""

    rate: float
    p99: float


def measure(port: int, load: Load) -> Pace:
    """Send the whole load. Raises an ExceptionGroup of RuntimeError (another status) or TimeoutError (no answer)."""
    return uvloop.run(_measure(port, load))


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return an HTTP/1.1 request; names in `headers` are written with underscores."""
    fields = {"Host": "127.0.0.1", **headers} | ({"Content-Length": str(len(body))} if body else {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _measure(port: int, load: Load) -> Pace:
    left = iter(load.requests)
    seconds: list[float] = []
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_client(port, left, load.status, seconds))
    taken = time.perf_counter() - begin
    return Pace(len(seconds) / taken, statistics.quantiles(seconds, n=100)[98] * 1000)


async def _client(port: int, left: Iterator[bytes], expected: int, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for each in left:
        begin = time.perf_counter()
        writer.write(each)
        async with asyncio.timeout(ANSWER_SECONDS):
            status, body = await _answer(reader)
        seconds.append(time.perf_counter() - begin)
        if status != expected:
            raise RuntimeError(f"{status} instead of {expected}: {body[:500]!r}")
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    length = int(rest.split(b"\r\n", 1)[0]) if found else 0
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
