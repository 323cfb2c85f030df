"""Requests whose clients take them back, leave, or do not read: no connection is kept for them."""

import asyncio
import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated
from h2.settings import SettingCodes
from structlog.testing import capture_logs

from services.api.connections import connection, serving
from services.api.core import renditions
from services.api.middleware import answer_deadline
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.support.fakes import stored_image
from tests.support.http2_client import Http2Client
from tests.support.live_server import LiveGateway
from tests.support.polling import poll
from tests.support.raw_client import PING
from tests.support.raw_http import chunked, get
from tests.support.stored_files import finished
from tests.support.unread import arrived, unread

FILE = os.urandom(9_700_000)
UNREAD_PIECES = 40  # more than Hypercorn's queue holds
TO_WAIT = (("content-type", "application/json"), ("prefer", "wait=20"))
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_deadline, "PIECE_SECONDS", 0.5)
    monkeypatch.setattr(connection, "FLUSH_SECONDS", 1.0)


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every conversion of an image begins once this is set, and makes FILE."""
    go_on = threading.Event()

    def convert(*_: object) -> bytes:
        go_on.wait(20)
        return FILE

    monkeypatch.setattr(renditions, "_rendition", convert)
    yield go_on
    go_on.set()


def with_unread_body(path: str) -> bytes:
    """Return a GET with a body in more pieces than wait for a handler that does not read it."""
    sent = b"".join(chunked(b"x" * 1000 * UNREAD_PIECES, target=path))
    return sent.replace(b"POST", b"GET", 1)


def wait_for_job(client: Http2Client, gateway: LiveGateway) -> int:
    stream = client.send("POST", "/v1/jobs", *TO_WAIT, body=b'{"prompt": "a mug"}')
    poll(gateway.live_jobs, 5, lambda: "a job")
    return stream


def test_http_2_waits_again_after_a_reset(gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose client took back its last request is idle: it serves the next one, and ends in time."""
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.5)
    with Http2Client(gateway.address) as client:
        client.reset(wait_for_job(client, gateway))
        assert client.answer(client.send("GET", "/livez"))[0] == 200
        client.reset(wait_for_job(client, gateway))
        client.receive()
    assert [event for event in client.events if isinstance(event, ConnectionTerminated)]


def test_reset_while_the_gateway_stops(gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop does not wait for a request that was taken back meanwhile."""
    monkeypatch.setattr(serving, "LAST_REQUEST_SECONDS", 0.0)
    with Http2Client(gateway.address) as client:
        stream = wait_for_job(client, gateway)
        gateway.stop()
        client.receive(lambda event: isinstance(event, ConnectionTerminated))
        client.reset(stream)
        gateway.wait_for_connections(0)


@pytest.mark.parametrize("behind", [b"\r\n", PING])
def test_more_behind_a_broken_download(gateway: LiveGateway, behind: bytes) -> None:
    """A client that breaks off a download, and has sent more behind it, does not keep its connection."""
    asked = get(finished(gateway, FILE))[0] + behind
    with unread(gateway.address, [asked]) as [client]:
        poll(lambda: arrived(client), 5, lambda: "the file to begin")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        gateway.wait_for_connections(0)


@pytest.mark.usefixtures("impatient")
def test_unread_answer_to_an_unread_body(gateway: LiveGateway, held_up: threading.Event) -> None:
    """An answer that is given up ends its connection also when the body of its request was not read."""
    held_up.set()
    path = f"{finished(gateway, stored_image(prompt='mug'))}?format=webp"
    with unread(gateway.address, [with_unread_body(path)]) as [client]:
        poll(lambda: arrived(client), 5, lambda: "the file to begin")
        gateway.wait_for_connections(0)


@pytest.mark.usefixtures("impatient")
def test_client_that_leaves_an_unread_body(gateway: LiveGateway, held_up: threading.Event) -> None:
    """A client that leaves before its answer does not keep its connection, although its body was not read."""
    path = f"{finished(gateway, stored_image(prompt='mug'))}?format=webp"
    with unread(gateway.address, [with_unread_body(path)]) as [client]:
        gateway.wait_for_connections(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        held_up.set()
        gateway.wait_for_connections(0)


def test_stop_with_an_unread_answer(tmp_path: Path, catalogue: Catalogue, held_up: threading.Event) -> None:
    """A gateway stops in time while a client reads no answer and the gateway did not read its body."""
    held_up.set()
    with LiveGateway(embedded_settings(tmp_path, graceful_timeout_seconds=1), catalogue) as gateway:
        path = f"{finished(gateway, stored_image(prompt='mug'))}?format=webp"
        with unread(gateway.address, [with_unread_body(path)]) as [client]:
            poll(lambda: arrived(client), 5, lambda: "the file to begin")
            gateway.stop()
            gateway.wait_for_connections(0)


def test_stop_with_a_stalled_http_2_client(tmp_path: Path, catalogue: Catalogue) -> None:
    """A gateway stops in time while a client of HTTP/2 allows it to send and reads nothing."""
    client = H2Connection(H2Configuration())
    client.initiate_connection()
    client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
    client.increment_flow_control_window(2**30)
    with LiveGateway(embedded_settings(tmp_path, graceful_timeout_seconds=1), catalogue) as gateway:
        path = finished(gateway, FILE)
        pseudo = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "studio"}
        client.send_headers(1, [*pseudo.items()], end_stream=True)
        with unread(gateway.address, [client.data_to_send()]) as [reader]:
            poll(lambda: arrived(reader), 5, lambda: "the file to begin")
            gateway.stop()
            gateway.wait_for_connections(0)


@pytest.mark.parametrize("error", [TimeoutError(errno.ETIMEDOUT, "timed out"), OSError(errno.EHOSTUNREACH, "no route")])
def test_client_that_vanishes(gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """The system's news that a client is out of reach ends its connection, and is no error of the gateway."""
    with capture_logs() as logs, Http2Client(gateway.address) as client:
        wait_for_job(client, gateway)

        async def lost(_: asyncio.StreamWriter) -> None:
            raise error

        monkeypatch.setattr(asyncio.StreamWriter, "drain", lost)
        client.send("GET", "/livez")
        gateway.wait_for_connections(0)
    assert not [entry for entry in logs if entry["log_level"] == "error"]
