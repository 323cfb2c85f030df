"""A gateway that stops loses no request."""

import http.client
import socket
import threading
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from services.api.connections import serving
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.api.connections.conftest import Connect
from tests.support.http2_client import Http2Client
from tests.support.live_server import LiveGateway
from tests.support.polling import poll
from tests.support.raw_client import HALF, PING, RawClient


def test_next_request_is_answered_when_the_gateway_stops(gateway: LiveGateway, connect: Connect) -> None:
    """When a stop has begun, the next answer on an idle connection says that it is the last, then it is closed."""
    raw, library = connect(), http.client.HTTPConnection(*gateway.address, timeout=20)
    assert raw.ask()["Connection"] is None
    library.request("GET", "/livez")
    library.getresponse().read()
    gateway.stop()
    poll(lambda: refuses(gateway), 5, lambda: "the end of listening")

    assert raw.ask()["Connection"] == "close"
    assert raw.rest() == b""
    library.request("GET", "/livez")
    with closing(library), library.getresponse() as response:
        assert (response.status, response.headers["Connection"]) == (200, "close")


def refuses(gateway: LiveGateway) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(gateway.address) != 0


def test_requests_sent_together_are_all_answered_at_a_stop(gateway: LiveGateway, connect: Connect) -> None:
    """Each of several requests that were sent at once is answered, and the last answer alone ends the connection."""
    client = connect()
    client.ask()
    gateway.stop()
    poll(lambda: refuses(gateway), 5, lambda: "the end of listening")
    client.socket.sendall(PING * 5)
    assert [client.answer()["Connection"] for _ in range(5)] == [None] * 4 + ["close"]
    assert client.rest() == b""


def test_idle_connection_is_closed_in_the_end(
    gateway: LiveGateway, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for a next request for the stated time only."""
    monkeypatch.setattr(serving, "LAST_REQUEST_SECONDS", 0.2)
    idle, mute, half = connect(), connect(), connect()
    idle.ask()
    half.socket.sendall(HALF)
    gateway.wait_for_connections(3)
    gateway.stop()
    assert (idle.rest(), mute.rest()) == (b"", b"")
    half.answer(408)


def test_stop_without_clients_waits_for_nothing(tmp_path: Path, catalogue: Catalogue) -> None:
    """A client that has left is not waited for."""
    with LiveGateway(embedded_settings(tmp_path), catalogue) as gateway:
        gateway.exchange(PING)
        gateway.wait_for_connections(0)


def test_next_request_of_http_2_is_answered_when_the_gateway_stops(gateway: LiveGateway) -> None:
    """An idle HTTP/2 connection gets the answer to its next request, then GOAWAY with that request as the last."""
    with Http2Client(gateway.address) as client:
        client.answer(client.send("GET", "/livez"))
        gateway.stop()
        poll(lambda: refuses(gateway), 5, lambda: "the end of listening")
        assert client.answer(client.send("GET", "/livez"))[0] == 200
        client.receive()
    [end] = [event for event in client.events if isinstance(event, ConnectionTerminated)]
    assert (end.error_code, end.last_stream_id) == (0, 3)


def test_busy_http_2_is_told_and_answered(gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is busy when the time is over gets GOAWAY; open requests are answered, later ones refused."""
    monkeypatch.setattr(serving, "LAST_REQUEST_SECONDS", 0.0)
    with Http2Client(gateway.address) as client:
        body = b'{"prompt": "a mug"}'
        waiting = client.send(
            *("POST", "/v1/jobs"), ("content-type", "application/json"), ("prefer", "wait=2"), body=body
        )
        poll(gateway.live_jobs, 5, lambda: "a job")
        gateway.stop()
        frames = client.frames_to_the_end("GET", "/livez")
    [end] = [frame for frame in frames if isinstance(frame, GoAwayFrame)]
    assert (end.last_stream_id, end.error_code) == (waiting, 0)
    [refused] = [frame for frame in frames if isinstance(frame, RstStreamFrame)]
    assert (refused.stream_id, refused.error_code) == (waiting + 2, ErrorCodes.REFUSED_STREAM)
    assert frames[-1].stream_id == waiting
    assert "END_STREAM" in frames[-1].flags


def test_http_2_is_renewed_without_loss(gateway: LiveGateway) -> None:
    """A client of a library that sends many requests over HTTP/2 notices no change of its connection."""
    with httpx2.Client(base_url=gateway.url, http1=False, http2=True) as client:
        assert {client.get("/livez").status_code for _ in range(2_100)} == {200}


def test_connections_that_wait_are_served(gateway: LiveGateway) -> None:
    """Connections that the system has accepted for a gateway that is late are served, although it stops meanwhile."""
    late = threading.Event()
    gateway.loop.call_soon_threadsafe(late.wait)
    clients = [RawClient(gateway.address) for _ in range(100)]
    for client in clients:
        client.socket.sendall(PING)
    gateway.stop()
    late.set()
    assert [client.answer()["Connection"] for client in clients] == ["close"] * 100
    for client in clients:
        client.close()
