"""Hostile and broken input, over raw sockets against a real server."""

import json
import socket
import time

import httpx2
import pytest
from structlog.testing import capture_logs

from tests.api.http.bad_requests import LIMIT, ROWS, Row
from tests.api.http.odd_requests import JOB, ODD_ROWS, PREFACE, framed
from tests.support.live_server import LiveGateway
from tests.support.raw_http import chunked, get


@pytest.mark.parametrize("row", [*ROWS, *ODD_ROWS], ids=str)
def test_bad_input(live: LiveGateway, row: Row) -> None:
    """Every bad input has its status and problem, tells nothing of our insides, makes no job and breaks nothing."""
    before = len(live.live_jobs())

    [answer] = live.exchange(*row.request)

    assert answer.status == row.status, answer.body
    assert len(live.live_jobs()) - before == (row.status == 202)
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body
    if row.code is None:
        assert answer.body == b""
        assert answer.headers["Connection"] == "close"
    else:
        assert answer.headers["X-Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers
    if row.code:
        problem = json.loads(answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (problem["code"], problem["type"]) == (row.code, f"/problems/{row.code}")
        assert problem["status"] == row.status
        assert problem["request_id"] == answer.headers["X-Request-Id"]
        assert len(answer.body) < 3000
    if row.code == "validation-error":
        assert all({"pointer", "detail"} <= error.keys() for error in json.loads(answer.body)["errors"])
    if row.allow is not None:
        assert answer.headers["Allow"] == row.allow
    assert live.exchange(*get("/livez"))[0].status == 200


def test_pipelined_requests_are_all_answered(live: LiveGateway) -> None:
    """A hundred requests sent at once on one connection get a hundred answers (row 55)."""
    answers = live.exchange(*(get("/livez") * 100), answers=100)

    assert {answer.status for answer in answers} == {200}


def test_unread_body_does_not_cost_the_connection(live: LiveGateway) -> None:
    """A body that nobody reads is answered, read to its end, and the connection then serves the next request."""
    flood = chunked(b" " * 40 * LIMIT, target="/nowhere")

    first, second = live.exchange(*flood, *get("/livez"), answers=2)

    assert (first.status, second.status) == (404, 200)


def test_what_follows_a_short_body_is_another_request(live: LiveGateway) -> None:
    """Bytes beyond the declared length are read as the next request and refused as such: nothing is smuggled."""
    first, second = live.exchange(*framed(f"Content-Length: {len(JOB)}", body=JOB + b"SMUGGLED\r\n\r\n"), answers=2)

    assert (first.status, second.status, second.headers["Connection"]) == (202, 400, "close")


def test_body_that_drips(live: LiveGateway) -> None:
    """A body that comes a byte at a time gets no more time than any other."""
    started = time.monotonic()
    with socket.create_connection(live.address, 10) as connection, connection.makefile("rb") as reader:
        connection.sendall(framed("Content-Length: 10000", body=b"")[0])
        while not _answered(connection):
            connection.sendall(b" ")
            time.sleep(0.05)
        assert b"408" in reader.readline()
    assert time.monotonic() - started < 3


def _answered(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(10)


@pytest.mark.parametrize(
    "rest", [b"", b"\xff" * 200, b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x05\x01\x25\0\0\0\x01\xff\xff\xff\xff\xff"]
)
def test_broken_http_2(live: LiveGateway, rest: bytes) -> None:
    """A connection that begins as HTTP/2 and goes on as something else disturbs no other client."""
    with socket.create_connection(live.address, 10) as connection:
        connection.sendall(PREFACE + rest)
        assert connection.recv(9)[3:4] == b"\x04"  # settings: it speaks HTTP/2
    assert live.exchange(*get("/livez"))[0].status == 200


def test_http_2_is_spoken(live: LiveGateway) -> None:
    """HTTP/2 by prior knowledge is answered as HTTP/1.1 is, refusals too."""
    with httpx2.Client(base_url=live.url, http1=False, http2=True) as client:
        assert client.get("/livez").http_version == "HTTP/2"
        refused = client.post("/v1/jobs", json={"prompt": 1})
        large = client.post("/v1/jobs", content=b" " * 2 * LIMIT, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (422, "validation-error")
    assert (large.status_code, large.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize("parts", [framed("Content-Length: 100"), framed("Transfer-Encoding: chunked", body=b"zz\r\n")])
def test_client_that_leaves_is_no_error(live: LiveGateway, parts: tuple[bytes]) -> None:
    """A request that breaks off is not our fault: nothing is logged as an error, and no job is made."""
    before = live.live_jobs()
    with capture_logs() as logs:
        with socket.create_connection(live.address, 10) as connection:
            connection.sendall(parts[0])
        deadline = time.monotonic() + 10
        while not [each for each in logs if each["event"] == "request finished"] and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [each["log_level"] for each in logs] == ["info", "info"]
    assert live.live_jobs() == before


def test_file_for_a_get_with_a_body(live: LiveGateway) -> None:
    """A body that a GET must not have, too large and never sent, does not break off the file it asks for."""
    with capture_logs() as logs:
        [answer] = live.exchange(*get("/static/studio.css", f"Content-Length: {100 * LIMIT}"))
    assert (answer.status, len(answer.body)) == (200, int(answer.headers["Content-Length"]))
    assert not [each for each in logs if each["log_level"] == "error"]
