"""Requests as the server takes them: heads, methods, expectations, offers."""

import http.client
import socket
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from services.api.middleware import unread_body
from services.api.server import MAX_HEAD_BYTES as LIMIT
from tests.support.http2_client import Http2Client
from tests.support.live_server import LiveGateway
from tests.support.raw_client import RawClient
from tests.support.raw_http import get, job, post


def padded_head(size: int) -> bytes:
    start, end = b"GET /livez HTTP/1.1\r\nHost: studio\r\n", b"\r\n\r\n"
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(40))
    room = size - len(start) - len(end) - len(b"X: ")
    head = start + fields[: room // 1200 * 1006]
    return head + b"X: " + b"a" * (size - len(head) - len(end) - len(b"X: ")) + end


@pytest.mark.parametrize("piece", [LIMIT * 2, LIMIT, LIMIT - 1, LIMIT // 2, 1000, 100])
@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 431), (LIMIT + 20_000, 431)])
def test_limit_of_a_head(live: LiveGateway, piece: int, size: int, status: int) -> None:
    """A head is as large as its bytes, in however many pieces they arrive: 32 KiB pass, and no byte more."""
    head = padded_head(size)
    assert len(head) == size
    with closing(RawClient(live.address)) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, size, piece):
            client.socket.sendall(head[start : start + piece])
        client.answer(status)


def test_limit_of_a_later_head(live: LiveGateway) -> None:
    """The limit holds for each head of a connection by itself."""
    first, second, third = live.exchange(padded_head(LIMIT) * 2 + padded_head(LIMIT + 1), answers=3)
    assert (first.status, second.status, third.status) == (200, 200, 431)


@pytest.mark.parametrize(("size", "status"), [(30_000, 200), (40_000, 431)])
def test_limit_of_a_head_in_http_2(live: LiveGateway, size: int, status: int) -> None:
    """HTTP/2 has the same limit, for the sum that its own standard defines, and the connection goes on."""
    with Http2Client(live.address) as client:
        headers = [(f"x-{number}", "a" * 900) for number in range(size // 1000)]
        assert client.answer(client.send("GET", "/livez", *headers))[0] == status
        assert client.answer(client.send("GET", "/livez"))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b" " * 30_000, "Expect: 100-continue"), 413),
        (post(b"{}", "Expect: 100-continue", media_type="text/plain"), 415),
        (post(b"{}", "Expect: 100-continue", "Idempotency-Key: "), 400),
        (post(b"{}", "Expect: 100-continue", "Transfer-Encoding: chunked"), 400),
    ],
)
def test_refused_before_the_body_is_asked_for(live: LiveGateway, request_: tuple[bytes], status: int) -> None:
    """A client that waits before it sends a body is refused at once, without 100 Continue, and told of the end."""
    head, _, _ = request_[0].partition(b"\r\n\r\n")
    with closing(RawClient(live.address)) as client:
        client.socket.sendall(head + b"\r\n\r\n")
        assert client.reader.readline().split()[1] == b"%d" % status
        assert http.client.parse_headers(client.reader)["Connection"] == "close"


def test_body_is_asked_for(live: LiveGateway) -> None:
    """A client that waits before it sends a body gets 100 Continue once the body is wanted."""
    head, _, body = job()[0].partition(b"\r\n\r\n")
    with closing(RawClient(live.address)) as client:
        client.socket.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert client.reader.readline() == b"HTTP/1.1 100 \r\n"
        assert client.reader.readline() == b"\r\n"
        client.socket.sendall(body)
        client.answer(202)
        client.ask()


def test_no_upgrade_to_http_2(live: LiveGateway) -> None:
    """A request that offers an upgrade to HTTP/2, as Java's client does, is answered in HTTP/1.1, as are later ones."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    with closing(RawClient(live.address)) as client:
        assert client.ask(get("/livez", *offer)[0])["Upgrade"] is None
        client.ask()


@pytest.mark.parametrize("method", ["get", "Get", "gET", "post", "head", "delete", "options", "x"])
def test_methods_differ_by_case(live: LiveGateway, method: str) -> None:
    """A method in lower case is none that the route has, in HTTP/1.1 and in HTTP/2."""
    [answer] = live.exchange(*get("/v1/jobs", method=method))
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert answer.headers["Content-Type"] == "application/problem+json"
    with Http2Client(live.address) as client:
        status, body = client.answer(client.send(method, "/v1/jobs"))
    assert status == 405
    assert b"method-not-allowed" in body


@pytest.mark.parametrize(("method", "path"), [("GET", "/caf\xe9"), ("GET", "/\u20ac"), ("G\xcbT", "/livez")])
def test_odd_letters_in_http_2(live: LiveGateway, method: str, path: str) -> None:
    """A method or a path that is not ASCII costs its request alone."""
    with Http2Client(live.address) as client:
        assert client.answer(client.send(method, path))[0] == 400
        assert client.answer(client.send("GET", "/livez"))[0] == 200


def test_body_after_its_answer_in_http_2(live: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that comes when its request is answered already costs no other request."""
    monkeypatch.setattr(unread_body, "LINGER_SECONDS", 0.05)
    with Http2Client(live.address) as client:
        early = client.send("POST", "/nowhere", end=False)
        assert client.answer(early)[0] == 404
        client.send_body(early, b"late")
        assert client.answer(client.send("GET", "/livez"))[0] == 200


@pytest.mark.parametrize("padding", [10, 40_000])
def test_request_taken_back_in_http_2(live: LiveGateway, padding: int) -> None:
    """A request that is taken back at once, even one that would be refused, costs no other request."""
    with capture_logs() as logs, Http2Client(live.address) as client:
        for _ in range(5):
            client.send_and_reset("GET", "/livez", ("x-a", "a" * padding))
        assert client.answer(client.send("GET", "/livez"))[0] == 200
    assert not [entry for entry in logs if entry["log_level"] == "error"]
