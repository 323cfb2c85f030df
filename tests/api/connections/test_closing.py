"""Connections that clients close, and clients that say nothing."""

import socket
import threading

import pytest
from h2.events import ConnectionTerminated

from services.api.connections import connection
from tests.api.connections.conftest import Connect
from tests.api.http.odd_requests import PREFACE
from tests.support.http2_client import Http2Client
from tests.support.live_server import LiveGateway
from tests.support.polling import poll
from tests.support.raw_client import HALF, PING, RawClient
from tests.support.raw_http import get, post


@pytest.mark.parametrize("said", [b"", PING, HALF, PREFACE, PREFACE + b"\0\0\0\x04\0\0\0\0\0", b"x" * 1000])
def test_closed_connection_is_gone_at_once(gateway: LiveGateway, said: bytes) -> None:
    """A connection that its client closes is not kept until it would time out, whatever was said on it."""
    clients = [RawClient(gateway.address) for _ in range(20)]
    for client in clients:
        client.socket.sendall(said)
    gateway.wait_for_connections(20)
    for client in clients:
        client.close()
    gateway.wait_for_connections(0)


def test_client_that_sends_no_more_is_answered(gateway: LiveGateway, connect: Connect) -> None:
    """A client that closes its own direction after the request still gets the answer, and then the end."""
    client = connect()
    client.socket.sendall(PING)
    client.socket.shutdown(socket.SHUT_WR)
    client.answer()
    assert client.rest() == b""


@pytest.mark.parametrize("submits", [True, False])
def test_waiting_client_that_leaves(gateway: LiveGateway, submits: bool) -> None:
    """A client that asked to wait for a job and leaves does not keep its connection, and the job goes on."""
    client = RawClient(gateway.address)
    request = post(b'{"prompt": "a mug"}', *(["Prefer: wait=20"] if submits else []))
    client.socket.sendall(request[0])
    [job_id] = poll(gateway.live_jobs, 5, lambda: "a job")
    if not submits:
        client.answer(202)
        client.socket.sendall(get(f"/v1/jobs/{job_id}", "Prefer: wait=20")[0])
    client.close()
    gateway.wait_for_connections(0)
    assert gateway.live_jobs() == [job_id]


def test_client_that_leaves_after_an_offer_is_noticed(gateway: LiveGateway) -> None:
    """A client that offered an upgrade and hangs up while it waits is noticed as any other."""
    body = b'{"prompt": "a mug"}'
    lines = (
        *("POST /v1/images/generations HTTP/1.1", "Host: studio", "Content-Type: application/json"),
        *(f"Content-Length: {len(body)}", "Connection: Upgrade", "Upgrade: h2c", "", ""),
    )
    client = RawClient(gateway.address)
    client.socket.sendall("\r\n".join(lines).encode() + body)
    poll(gateway.live_jobs, 5, lambda: "a job")
    client.close()
    poll(lambda: not gateway.live_jobs(), 5, lambda: "no job after its client has left")
    gateway.wait_for_connections(0)


@pytest.mark.usefixtures("short_heads")
def test_mute_client_is_closed_before_an_idle_one(gateway: LiveGateway, connect: Connect) -> None:
    """A client that never sends a request is closed soon, and one that was answered may wait for its next."""
    answered, mute = connect(), connect()
    answered.ask()
    assert mute.rest() == b""
    answered.ask()


@pytest.mark.usefixtures("short_heads")
@pytest.mark.parametrize("before", [0, 1])
def test_half_a_head(gateway: LiveGateway, connect: Connect, before: int) -> None:
    """A head that does not come to its end is answered 408 soon, as the first request and as a later one."""
    client = connect()
    for _ in range(before):
        client.ask()
    client.socket.sendall(HALF)
    assert client.answer(408)["Connection"] == "close"
    assert client.rest() == b""


@pytest.mark.usefixtures("short_heads")
def test_head_that_drips(gateway: LiveGateway, connect: Connect) -> None:
    """A head that comes byte by byte gets no more time than any other."""
    client = connect()
    client.socket.settimeout(0.05)
    for _ in range(100):
        client.socket.sendall(b"G")
        try:
            assert client.socket.recv(12) == b"HTTP/1.1 408"
        except TimeoutError:
            continue
        return
    pytest.fail("a dripping head is waited for")


@pytest.mark.usefixtures("short_heads")
def test_mute_http_2(gateway: LiveGateway) -> None:
    """An HTTP/2 client that sends no request is told that the connection ends, and it is closed."""
    with Http2Client(gateway.address) as client:
        client.receive()
    assert [event for event in client.events if isinstance(event, ConnectionTerminated)]
    gateway.wait_for_connections(0)


def test_request_in_the_last_moment(gateway: LiveGateway, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that arrives when an idle connection is about to be closed is answered first."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.3)
    client, late = connect(), threading.Event()
    client.ask()
    over = gateway.loop.time() + 0.4
    gateway.loop.call_soon_threadsafe(late.wait)
    poll(lambda: gateway.loop.time() > over, 5, lambda: "the time of an idle connection to be over")
    client.socket.sendall(PING)
    late.set()
    assert client.answer()["Connection"] == "close"
    assert client.rest() == b""
