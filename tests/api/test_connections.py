"""Connections of clients: how they begin, how long they last, how many there may be, and how they end."""

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated
from hyperframe.frame import GoAwayFrame, RstStreamFrame
from structlog.testing import capture_logs

from services.api import server
from services.api.connections import connection, serving
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.api.http.odd_requests import PREFACE
from tests.support.http2_client import Http2Client
from tests.support.live_server import LiveGateway, read_answer
from tests.support.polling import poll
from tests.support.raw_http import get, job, post

LIMIT = server.MAX_HEAD_BYTES
PING = get("/livez")[0]
HALF = b"GET /livez HTTP/1.1\r\nHost: stu"


@pytest.fixture
def gateway(tmp_path: Path, catalogue: Catalogue) -> Iterator[LiveGateway]:
    """A gateway for one test, whose figures and end are its own."""
    with LiveGateway(embedded_settings(tmp_path, graceful_timeout_seconds=10), catalogue) as running:
        yield running


class Client:
    """A raw connection that stays open."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, 20)
        self.reader = self.socket.makefile("rb")

    def ask(self, request: bytes = PING) -> http.client.HTTPMessage:
        """Send the request; its answer must be 200."""
        self.socket.sendall(request)
        return self.answer()

    def answer(self, status: int = 200) -> http.client.HTTPMessage:
        answer = read_answer(self.reader)
        assert answer.status == status
        return answer.headers

    def rest(self) -> bytes:
        """Return what comes until the server closes."""
        return self.reader.read()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


@pytest.fixture
def connect(gateway: LiveGateway) -> Iterator[Callable[[], Client]]:
    opened: list[Client] = []

    def begin() -> Client:
        opened.append(Client(gateway.address))
        return opened[-1]

    yield begin
    for client in opened:
        client.close()


def open_connections(gateway: LiveGateway, expected: int) -> None:
    """Wait until so many connections are open."""
    poll(
        lambda: gateway.count("studio_connections") == expected,
        5,
        lambda: f"{expected} connections: there are {gateway.count('studio_connections')}",
    )


@pytest.mark.parametrize("said", [b"", PING, HALF, PREFACE, PREFACE + b"\0\0\0\x04\0\0\0\0\0", b"x" * 1000])
def test_closed_connection_is_gone_at_once(gateway: LiveGateway, said: bytes) -> None:
    """A connection that its client closes is not kept until it would time out, whatever was said on it."""
    clients = [Client(gateway.address) for _ in range(20)]
    for client in clients:
        client.socket.sendall(said)
    open_connections(gateway, 20)
    for client in clients:
        client.close()
    open_connections(gateway, 0)


def test_client_that_sends_no_more_is_answered(gateway: LiveGateway, connect: Callable[[], Client]) -> None:
    """A client that closes its own direction after the request still gets the answer, and then the end."""
    client = connect()
    client.socket.sendall(PING)
    client.socket.shutdown(socket.SHUT_WR)
    client.answer()
    assert client.rest() == b""


@pytest.fixture
def short_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)


@pytest.mark.usefixtures("short_heads")
def test_mute_client_is_closed_before_an_idle_one(gateway: LiveGateway, connect: Callable[[], Client]) -> None:
    """A client that never sends a request is closed soon, and one that was answered may wait for its next."""
    answered, mute = connect(), connect()
    answered.ask()
    assert mute.rest() == b""
    answered.ask()


@pytest.mark.usefixtures("short_heads")
@pytest.mark.parametrize("before", [0, 1])
def test_half_a_head(gateway: LiveGateway, connect: Callable[[], Client], before: int) -> None:
    """A head that does not come to its end is answered 408 soon, as the first request and as a later one."""
    client = connect()
    for _ in range(before):
        client.ask()
    client.socket.sendall(HALF)
    assert client.answer(408)["Connection"] == "close"
    assert client.rest() == b""


@pytest.mark.usefixtures("short_heads")
def test_head_that_drips(gateway: LiveGateway, connect: Callable[[], Client]) -> None:
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
    open_connections(gateway, 0)


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
    with closing(Client(live.address)) as client:
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
    with closing(Client(live.address)) as client:
        client.socket.sendall(head + b"\r\n\r\n")
        assert client.reader.readline().split()[1] == b"%d" % status
        assert http.client.parse_headers(client.reader)["Connection"] == "close"


def test_body_is_asked_for(live: LiveGateway) -> None:
    """A client that waits before it sends a body gets 100 Continue once the body is wanted."""
    head, _, body = job()[0].partition(b"\r\n\r\n")
    with closing(Client(live.address)) as client:
        client.socket.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert client.reader.readline() == b"HTTP/1.1 100 \r\n"
        assert client.reader.readline() == b"\r\n"
        client.socket.sendall(body)
        client.answer(202)
        client.ask()


def test_no_upgrade_to_http_2(live: LiveGateway) -> None:
    """A request that offers an upgrade to HTTP/2, as Java's client does, is answered in HTTP/1.1, as are later ones."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    with closing(Client(live.address)) as client:
        assert client.ask(get("/livez", *offer)[0])["Upgrade"] is None
        client.ask()


def test_client_that_leaves_after_an_offer_is_noticed(gateway: LiveGateway) -> None:
    """A client that offered an upgrade and hangs up while it waits is noticed as any other."""
    body = b'{"prompt": "a mug"}'
    lines = (
        *("POST /v1/images/generations HTTP/1.1", "Host: studio", "Content-Type: application/json"),
        *(f"Content-Length: {len(body)}", "Connection: Upgrade", "Upgrade: h2c", "", ""),
    )
    client = Client(gateway.address)
    client.socket.sendall("\r\n".join(lines).encode() + body)
    poll(gateway.live_jobs, 5, lambda: "a job")
    client.close()
    poll(lambda: not gateway.live_jobs(), 5, lambda: "no job after its client has left")
    open_connections(gateway, 0)


@pytest.mark.parametrize("submits", [True, False])
def test_waiting_client_that_leaves(gateway: LiveGateway, submits: bool) -> None:
    """A client that asked to wait for a job and leaves does not keep its connection, and the job goes on."""
    client = Client(gateway.address)
    request = post(b'{"prompt": "a mug"}', *(["Prefer: wait=20"] if submits else []))
    client.socket.sendall(request[0])
    [job_id] = poll(gateway.live_jobs, 5, lambda: "a job")
    if not submits:
        client.answer(202)
        client.socket.sendall(get(f"/v1/jobs/{job_id}", "Prefer: wait=20")[0])
    client.close()
    open_connections(gateway, 0)
    assert gateway.live_jobs() == [job_id]


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


@pytest.mark.parametrize("path", ["/caf\xe9", "/\u20ac"])
def test_odd_path_in_http_2(live: LiveGateway, path: str) -> None:
    """A path that is not ASCII costs its request alone."""
    with Http2Client(live.address) as client:
        assert client.answer(client.send("GET", path))[0] == 400
        assert client.answer(client.send("GET", "/livez"))[0] == 200


def test_next_request_is_answered_when_the_gateway_stops(gateway: LiveGateway, connect: Callable[[], Client]) -> None:
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


def test_requests_sent_together_are_all_answered_at_a_stop(gateway: LiveGateway, connect: Callable[[], Client]) -> None:
    """Of requests that were sent at once each is answered, and the last answer alone ends the connection."""
    client = connect()
    client.ask()
    gateway.stop()
    poll(lambda: refuses(gateway), 5, lambda: "the end of listening")
    client.socket.sendall(PING * 5)
    assert [client.answer()["Connection"] for _ in range(5)] == [None] * 4 + ["close"]
    assert client.rest() == b""


def test_idle_connection_is_closed_in_the_end(
    gateway: LiveGateway, connect: Callable[[], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for a next request for the stated time only."""
    monkeypatch.setattr(serving, "LAST_REQUEST_SECONDS", 0.2)
    idle, mute, half = connect(), connect(), connect()
    idle.ask()
    half.socket.sendall(HALF)
    open_connections(gateway, 3)
    gateway.stop()
    assert (idle.rest(), mute.rest()) == (b"", b"")
    half.answer(408)


def test_stop_without_clients_waits_for_nothing(tmp_path: Path, catalogue: Catalogue) -> None:
    """A client that has left is not waited for."""
    with LiveGateway(embedded_settings(tmp_path), catalogue) as gateway:
        gateway.exchange(PING)
        open_connections(gateway, 0)


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


def test_oldest_waiting_connection_makes_room(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit a new connection is served, and the one that has waited longest is closed: counted, logged once."""
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 4)
    with capture_logs() as logs, LiveGateway(embedded_settings(tmp_path), catalogue) as gateway:
        clients = [Client(gateway.address) for _ in range(4)]
        for client in reversed(clients):
            client.ask()
        newest = [Client(gateway.address), Client(gateway.address)]
        for client in newest:
            client.ask()
        assert [client.rest() for client in clients[2:]] == [b"", b""]
        for client in clients[:2]:
            client.ask()
        assert gateway.count("studio_connections") == 4
        assert gateway.count("studio_connections_over_limit_total", outcome="replaced") == 2
        for client in (*clients, *newest):
            client.close()
    [told] = [entry for entry in logs if entry["event"] == "too many connections"]
    assert (told["log_level"], told["most"], "ulimit -n" in told["advice"]) == ("warning", 4, True)


def test_connection_beyond_busy_ones_is_refused(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a request is open on every connection there may be, a new one gets 503 at once, which is counted."""
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 2)
    with LiveGateway(embedded_settings(tmp_path), catalogue) as gateway:
        busy = [Client(gateway.address) for _ in range(2)]
        for client in busy:
            client.socket.sendall(post(b'{"prompt": "a mug"}', "Prefer: wait=20")[0])
        poll(lambda: len(gateway.live_jobs()) == 2, 5, lambda: "two jobs")
        refused = Client(gateway.address)
        assert refused.answer(503)["Retry-After"] == "1"
        assert gateway.count("studio_connections_over_limit_total", outcome="refused") == 1
        for client in (*busy, refused):
            client.close()
