"""Clients that ask for files and do not read them take nothing from the others."""

import base64
import gc
import os
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from h2.events import StreamReset

from services.api.connections.streams import PacedStreamBuffer
from services.api.core import renditions
from services.api.core.artifacts import EACH
from services.api.middleware import answer_deadline
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings
from tests.api.conftest import embedded_settings
from tests.support.fakes import stored_image
from tests.support.http2_client import Http2Client
from tests.support.live_server import LiveGateway
from tests.support.polling import poll
from tests.support.servers.stack import Stack
from tests.support.stored_files import ask, finished, store
from tests.support.unread import arrived, request, unread

CLIENTS = 60
FILE = os.urandom(9_700_000)
SECONDS = 20.0
GIVEN_UP_SECONDS = 6.0

IMAGES_AGAIN = b"""POST /v1/images/generations HTTP/1.1\r
host: studio\r
x-forwarded-for: 203.0.113.1\r
idempotency-key: a\r
content-type: application/json\r
content-length: 16\r
\r
{"prompt":"mug"}"""

both_protocols = pytest.mark.parametrize("protocol", ["1.1", "2"])


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Each caller is known by the address that a proxy tells."""
    urls: dict[str, Any] = {}
    if request.param == "distributed":
        stack: Stack = request.getfixturevalue("stack")
        with redis.Redis.from_url(stack.statuses_url) as client:
            client.flushall()
        urls = {name.removeprefix("STUDIO_").lower(): value for name, value in stack.environment().items()}
    return embedded_settings(tmp_path, trusted_proxies="127.0.0.1", rate_limit="none", **urls)


@pytest.fixture
def gateway(settings: Settings, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveGateway]:
    monkeypatch.setattr(answer_deadline, "PIECE_SECONDS", GIVEN_UP_SECONDS)
    with LiveGateway(settings, catalogue) as live:
        yield live


@both_protocols
def test_many_callers(gateway: LiveGateway, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While 60 callers leave a file unread, others get theirs, and jobs are taken and removed, in time."""
    monkeypatch.setattr(answer_deadline, "PIECE_SECONDS", SECONDS)
    path = finished(gateway, FILE)
    small = finished(gateway, stored_image(prompt="mug"))
    with ExitStack() as stack:
        for caller in range(CLIENTS):  # one after the other: the S3 server of the tests is a small one
            until_sent_to(stack.enter_context(unread(gateway.address, [download(path, protocol, caller)])), 1)
        answers = {
            "health": ask(gateway, "GET", "/readyz"),
            "file": ask(gateway, "GET", path),
            "rendition": ask(gateway, "GET", f"{small}?format=webp"),
            "submit": ask(gateway, "POST", "/v1/jobs", json={"prompt": "bowl"}),
            "removal": ask(gateway, "DELETE", small.partition("/artifacts")[0]),
        }
        seconds = {name: answer.elapsed.total_seconds() for name, answer in answers.items()}
        statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {"health": 200, "file": 200, "rendition": 200, "submit": 202, "removal": 204}
    assert max(seconds.values()) < 2.0, seconds


@both_protocols
def test_one_caller(gateway: LiveGateway, protocol: str) -> None:
    """A caller that leaves files unread gets no more of them, unlike others, until those are given up."""
    path = finished(gateway, FILE)
    with unread(gateway.address, [download(path, protocol, caller=1) for _ in range(CLIENTS)]) as clients:
        until_sent_to(clients, EACH)
        refused, other = ask(gateway, "GET", path, caller=1), ask(gateway, "GET", path, caller=2)
        again = poll(lambda: served(gateway, path, caller=1), SECONDS, lambda: "the unread downloads to be given up")
        sizes = [len(read_to_the_end(client)) for client in clients if protocol == "1.1" and arrived(client)]
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "too-busy", "2")
    assert refused.elapsed.total_seconds() < 3.0
    assert (other.status_code, other.content) == (200, FILE)
    assert again == FILE
    assert protocol == "2" or min(sizes) < len(FILE)  # connections were closed


@both_protocols
def test_unread_rendition(gateway: LiveGateway, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converted image that is not read counts as a download of its caller, too; no more are converted meanwhile."""
    made: list[bytes] = []

    def convert(*_: object) -> bytes:
        made.append(FILE)
        return FILE

    monkeypatch.setattr(renditions, "_rendition", convert)
    wanted = f"{finished(gateway, stored_image(prompt='mug'))}?format=webp"
    with unread(gateway.address, [download(wanted, protocol, caller=1) for _ in range(CLIENTS)]):
        refused = poll(lambda: busy(gateway, wanted, caller=1), SECONDS, lambda: "the limit to be reached")
        converted = len(made)
        other = ask(gateway, "GET", wanted, caller=2)
        poll(lambda: served(gateway, wanted, caller=1), SECONDS, lambda: "the unread files to be given up")
    assert refused.json()["code"] == "too-busy"
    assert converted <= EACH
    assert other.content == FILE


def test_unread_images_of_openai(gateway: LiveGateway) -> None:
    """Images in base64 that are not read count as downloads; a client that can be answered later is told to come back.

    Each sending of a request with an Idempotency-Key holds the files anew.
    """
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(images, gateway, {"Idempotency-Key": "a"})
        [job_id] = poll(gateway.live_jobs, SECONDS, lambda: "a job")
        store(gateway, job_id, FILE)
        assert base64.b64decode(first.result(SECONDS).json()["data"][0]["b64_json"]) == FILE
    with unread(gateway.address, [IMAGES_AGAIN] * EACH) as clients:
        until_sent_to(clients, EACH)
        refused = images(gateway, {"Idempotency-Key": "a"})
        answers = poll(lambda: images(gateway, {"Idempotency-Key": "a"}).is_success, SECONDS, lambda: "an answer")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too-busy")
    assert refused.headers["X-Job-Id"] == job_id
    assert "x-should-retry" not in refused.headers
    assert answers


@pytest.mark.parametrize("window", [0, 65_535])
def test_answer_that_is_given_up_leaves_nothing(
    gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """An HTTP/2 answer that is given up takes no memory while its connection goes on."""
    before = held()
    monkeypatch.setattr(answer_deadline, "PIECE_SECONDS", 0.5)
    path = finished(gateway, FILE)
    with Http2Client(gateway.address, window) as client:
        stream = client.send("GET", path)
        client.receive(lambda event: isinstance(event, StreamReset) and event.stream_id == stream)
        poll(lambda: not buffers(before), 5, lambda: str(buffers(before)))
        assert client.answer(client.send("HEAD", "/livez"))[0] == 200


def test_answer_that_is_taken_back_leaves_nothing(gateway: LiveGateway) -> None:
    """An HTTP/2 answer of which the client lets nothing be sent takes no memory once the client has reset it."""
    before = held()
    path = finished(gateway, FILE)
    with Http2Client(gateway.address, window=0) as client:
        stream = client.send("GET", path)
        poll(lambda: any(buffers(before)), 5, lambda: "an answer that waits")
        client.reset(stream)
        poll(lambda: not buffers(before), 5, lambda: str(buffers(before)))
        assert client.answer(client.send("HEAD", "/livez"))[0] == 200


def held() -> list[PacedStreamBuffer]:
    # Not isinstance, which asks every object for its class: some of a library's warn then.
    return [each for each in gc.get_objects() if type(each) is PacedStreamBuffer]


def buffers(before: Sequence[PacedStreamBuffer]) -> list[int]:
    """Return how many bytes each HTTP/2 answer of this process holds, without those of earlier tests."""
    gc.collect()
    return [len(each.buffer) for each in held() if not any(each is other for other in before)]


def test_client_of_http_2_is_told(gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is given up is reset."""
    monkeypatch.setattr(answer_deadline, "PIECE_SECONDS", 1.0)
    path = finished(gateway, FILE)
    with Http2Client(gateway.address) as client:
        stream = client.send("GET", path)
        client.receive(lambda event: isinstance(event, StreamReset) and event.stream_id == stream)
        assert not client.closed


def test_slow_reader(gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads slowly and steadily gets the whole file, although large buffers lie in between."""
    monkeypatch.setattr(answer_deadline, "PIECE_SECONDS", 1.0)
    path = finished(gateway, FILE)
    with socket.create_connection(gateway.address, SECONDS) as client:
        client.sendall(download(path, "1.1", caller=1))
        received = read_to_the_end(client, bytes_a_second=900_000)
    assert received.endswith(FILE)


def images(gateway: LiveGateway, headers: dict[str, str]) -> httpx2.Response:
    """Ask for an image in base64, as the caller 1."""
    return ask(gateway, "POST", "/v1/images/generations", 1, json={"prompt": "mug"}, headers=headers)


def download(path: str, protocol: str, caller: int) -> bytes:
    return request(path, protocol, x_forwarded_for=f"203.0.113.{caller}")


def served(gateway: LiveGateway, path: str, caller: int) -> bytes | None:
    answer = ask(gateway, "GET", path, caller)
    return answer.content if answer.status_code == 200 else None


def busy(gateway: LiveGateway, path: str, caller: int) -> httpx2.Response | None:
    answer = ask(gateway, "GET", path, caller)
    return answer if answer.status_code == 503 else None


def until_sent_to(clients: Sequence[socket.socket], most: int) -> None:
    """Wait until a file has begun to come to so many clients."""

    def begun() -> bool:
        return sum(map(arrived, clients)) >= most

    poll(begun, SECONDS, lambda: f"a file to come to {most} clients")


def read_to_the_end(client: socket.socket, bytes_a_second: float | None = None) -> bytes:
    """Return what comes until the file is complete or the connection is closed."""
    received = bytearray()
    with suppress(ConnectionResetError):
        while not received.endswith(FILE[-1000:]) and (data := client.recv(64 * 1024)):
            received += data
            if bytes_a_second is not None:
                time.sleep(len(data) / bytes_a_second)
    return bytes(received)
