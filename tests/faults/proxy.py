"""A TCP proxy in front of one server, controlled from synchronous code: `with running_proxies(ports) as proxies`."""

import asyncio
import copy
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TypeVar

from tests.faults.toxics import Cut, Timeout, Toxic

T = TypeVar("T")

Direction = Literal["upstream", "downstream"]  # towards the server, and back from it
CHUNK_BYTES: Final = 64 * 1024
CALL_SECONDS: Final = 10.0


class Proxy:
    """Listens on `port` and forwards both directions. A toxic also affects connections that are already open."""

    def __init__(self, upstream_port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.port = 0
        self._upstream_port = upstream_port
        self._loop = loop
        self._server: asyncio.Server | None = None
        self._toxics: dict[Direction, Toxic] = {}
        self._connections: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @contextmanager
    def toxic(self, toxic: Toxic, *directions: Direction) -> Iterator[None]:
        """Apply the toxic while the block runs, in both directions unless `directions` names some."""
        affected: tuple[Direction, ...] = directions or ("upstream", "downstream")
        self._call(self._set({direction: copy.copy(toxic) for direction in affected}))
        try:
            yield
        finally:
            self._call(self._set({}))

    @contextmanager
    def down(self) -> Iterator[None]:
        """Reset open connections and refuse new ones while the block runs."""
        self._call(self._close())
        try:
            yield
        finally:
            self._call(self.listen())

    def lead_to(self, port: int) -> None:
        """Forward new connections to this port, as a name does after a fail-over; open ones stay where they are."""
        self._upstream_port = port

    def cut(self) -> None:
        """Reset every open connection."""
        self._call(self._reset())

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        await self._close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=CHUNK_BYTES)
        except OSError:
            _end(writer, reset=True)
            self._connections.discard(writer)
            return
        self._connections.add(up_writer)
        for work in (
            self._pump("upstream", reader, up_writer, (writer, up_writer)),
            self._pump("downstream", up_reader, writer, (writer, up_writer)),
        ):
            pump = asyncio.create_task(work)
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self,
        direction: Direction,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        own: Toxic | None = None
        model: Toxic | None = None
        reset = False
        try:
            while data := await source.read(CHUNK_BYTES):
                if model is not self._toxics.get(direction):  # one copy a connection: some toxics count bytes
                    model = self._toxics.get(direction)
                    own = copy.copy(model)
                if own is None:
                    sink.write(data)
                else:
                    async for part in own.pass_on(data):
                        sink.write(part)
                await sink.drain()
        except Cut as cut:
            reset = cut.reset
        except OSError:
            reset = True
        finally:
            for writer in pair:
                _end(writer, reset=reset)
                self._connections.discard(writer)

    async def _set(self, toxics: dict[Direction, Toxic]) -> None:
        for old in self._toxics.values():
            if isinstance(old, Timeout):
                old.healed.set()
        self._toxics = toxics

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        for writer in tuple(self._connections):
            _end(writer, reset=True)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)


@contextmanager
def running_proxies(ports: Sequence[int]) -> Iterator[list[Proxy]]:
    """Start one proxy for each loopback port of a server; all run on an event loop in their own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxies", daemon=True)
    thread.start()
    proxies = [Proxy(port, loop) for port in ports]
    try:
        for proxy in proxies:
            asyncio.run_coroutine_threadsafe(proxy.listen(), loop).result(CALL_SECONDS)
        yield proxies
    finally:
        for proxy in proxies:
            asyncio.run_coroutine_threadsafe(proxy.close(), loop).result(CALL_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CALL_SECONDS)
        loop.close()


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset and (sock := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):
            # With a linger time of 0, closing sends an RST instead of a FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if reset:
        writer.transport.abort()
    else:
        writer.close()
