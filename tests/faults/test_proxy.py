"""Toxics do what their names say; else the scenarios that use them would prove nothing."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.job_audit import went_back
from tests.faults.proxy import Proxy, running_proxies
from tests.faults.toxics import Bandwidth, Latency, LimitData, ResetPeer, Slicer, Timeout

WORDS = b"x" * 1000


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=[server], daemon=True).start()
        with running_proxies([server.getsockname()[1]]) as (opened,):
            yield opened
        server.shutdown(socket.SHUT_RDWR)


def _echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=[connection], daemon=True).start()


def _serve(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _exchange(connection: socket.socket, data: bytes = WORDS) -> tuple[bytes, float]:
    """What comes back until it is complete or the connection ends, and after how long."""
    began, answer = time.monotonic(), b""
    connection.sendall(data)
    while len(answer) < len(data) and (part := connection.recv(65536)):
        answer += part
    return answer, time.monotonic() - began


def test_without_toxics(proxy: Proxy) -> None:
    """Everything passes, at once."""
    with _connect(proxy) as connection:
        answer, seconds = _exchange(connection)
    assert answer == WORDS
    assert seconds < 0.3


def test_latency_and_bandwidth(proxy: Proxy) -> None:
    """Both slow down connections that are open already, and no longer than they are there."""
    with _connect(proxy) as connection:
        for toxic in (Latency(0.2), Bandwidth(len(WORDS) / 0.2)):
            with proxy.toxic(toxic):
                answer, seconds = _exchange(connection)
            assert answer == WORDS
            assert seconds > 0.35
        assert _exchange(connection)[1] < 0.3


def test_timeout(proxy: Proxy) -> None:
    """Nothing gets through a black hole; what was sent arrives when it is gone."""
    with _connect(proxy) as connection:
        with proxy.toxic(Timeout(), "downstream"):
            connection.sendall(WORDS)
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(5)
        assert connection.recv(65536) == WORDS


def test_timeout_that_closes(proxy: Proxy) -> None:
    """A black hole with a time closes the connection after it."""
    with _connect(proxy) as connection, proxy.toxic(Timeout(0.1)):
        assert _exchange(connection)[0] == b""


def test_reset_peer(proxy: Proxy) -> None:
    """The connection ends with an error, not with an end."""
    with _connect(proxy) as connection, proxy.toxic(ResetPeer()), pytest.raises(ConnectionResetError):
        _exchange(connection)


def test_slicer(proxy: Proxy) -> None:
    """All arrives, in many small pieces."""
    with _connect(proxy) as connection, proxy.toxic(Slicer(100, 0.01), "downstream"):
        connection.sendall(WORDS)
        pieces = [connection.recv(65536)]
        while sum(map(len, pieces)) < len(WORDS):
            pieces.append(connection.recv(65536))
    assert b"".join(pieces) == WORDS
    assert len(pieces) > 3


def test_limit_data(proxy: Proxy) -> None:
    """So many bytes of every connection get through, and then it ends."""
    with proxy.toxic(LimitData(300), "downstream"):
        for _ in range(2):
            with _connect(proxy) as connection:
                assert _exchange(connection)[0] == WORDS[:300]


def test_down_and_cut(proxy: Proxy) -> None:
    """Open connections end; new ones are refused while the proxy is down, and welcome after a mere cut."""
    with _connect(proxy) as connection:
        _exchange(connection)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        _connect(proxy)
    with _connect(proxy) as connection:
        assert _exchange(connection)[0] == WORDS


@pytest.mark.parametrize(
    ("history", "back"),
    [
        ([("queued", 0), ("running", 1), ("succeeded", 1)], False),
        ([("running", 1), ("queued", 0), ("running", 1)], False),  # handed back
        ([("running", 1), ("running", 2)], False),
        ([("running", 1), ("queued", 1)], True),
        ([("succeeded", 1), ("running", 2)], True),
        ([("succeeded", 1), ("failed", 1)], True),
        ([("queued", 0), ("404", 0)], True),
    ],
)
def test_going_back(history: list[tuple[str, int]], back: bool) -> None:
    """The rig tells a status that went back from one that was handed back."""
    assert went_back(history) is back
