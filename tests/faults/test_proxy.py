"""Toxics have the effect that their names say; the scenarios that use them depend on it."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.job_audit import went_back
from tests.faults.proxy import Proxy, running_proxies
from tests.faults.toxics import Bandwidth, Latency, LimitData, ResetPeer, Slicer, SlowAnswers, Timeout

WORDS = b"x" * 1000


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of a server that echoes."""
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
    """Send the data and return the echo until it is complete or the connection ends, and the seconds it took."""
    began, answer = time.monotonic(), b""
    connection.sendall(data)
    while len(answer) < len(data) and (part := connection.recv(65536)):
        answer += part
    return answer, time.monotonic() - began


def test_without_toxics(proxy: Proxy) -> None:
    """A proxy without toxics passes everything at once."""
    with _connect(proxy) as connection:
        answer, seconds = _exchange(connection)
    assert answer == WORDS
    assert seconds < 0.3


def test_slow_answers(proxy: Proxy) -> None:
    """An answer begins late, and its further bytes come at once."""
    with _connect(proxy) as connection, proxy.toxic(SlowAnswers(0.3, pause_seconds=1.0), "downstream"):
        seconds = [_exchange(connection)[1] for _ in range(2)]
    assert seconds[0] > 0.25
    assert seconds[1] < 0.2


def test_latency_and_bandwidth(proxy: Proxy) -> None:
    """Latency and bandwidth slow down open connections, and only while they are applied."""
    with _connect(proxy) as connection:
        for toxic in (Latency(0.2), Bandwidth(len(WORDS) / 0.2)):
            with proxy.toxic(toxic):
                answer, seconds = _exchange(connection)
            assert answer == WORDS
            assert seconds > 0.35
        assert _exchange(connection)[1] < 0.3


def test_timeout(proxy: Proxy) -> None:
    """Nothing gets through a timeout; the bytes arrive when it is removed."""
    with _connect(proxy) as connection:
        with proxy.toxic(Timeout(), "downstream"):
            connection.sendall(WORDS)
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(5)
        assert connection.recv(65536) == WORDS


def test_timeout_that_closes(proxy: Proxy) -> None:
    """A timeout with a number of seconds closes the connection after them."""
    with _connect(proxy) as connection, proxy.toxic(Timeout(0.1)):
        assert _exchange(connection)[0] == b""


def test_reset_peer(proxy: Proxy) -> None:
    """A reset ends the connection with an error instead of an end of file."""
    with _connect(proxy) as connection, proxy.toxic(ResetPeer()), pytest.raises(ConnectionResetError):
        _exchange(connection)


def test_slicer(proxy: Proxy) -> None:
    """Sliced data arrives complete, in many small pieces."""
    with _connect(proxy) as connection, proxy.toxic(Slicer(100, 0.01), "downstream"):
        connection.sendall(WORDS)
        pieces = [connection.recv(65536)]
        while sum(map(len, pieces)) < len(WORDS):
            pieces.append(connection.recv(65536))
    assert b"".join(pieces) == WORDS
    assert len(pieces) > 3


def test_limit_data(proxy: Proxy) -> None:
    """A connection ends once the limit of bytes has passed."""
    with proxy.toxic(LimitData(300), "downstream"):
        for _ in range(2):
            with _connect(proxy) as connection:
                assert _exchange(connection)[0] == WORDS[:300]


def test_down_and_cut(proxy: Proxy) -> None:
    """A cut resets open connections; a proxy that is down also refuses new ones."""
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
    """The audit tells a state that went back from a job that was handed back."""
    assert went_back(history) is back
