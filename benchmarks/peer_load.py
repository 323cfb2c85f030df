"""The clients of `peers`: each sends its next request as soon as the last one is answered."""

import itertools
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from benchmarks.rig import PROMPT

DEADLINE_SECONDS = 90.0
# All requests of a run differ in seed and text, so that no server can answer one from a cache of another.
_SEEDS = itertools.count(1)

Ask = Callable[[HTTPConnection, int], bytes]


class NoImage(Exception):
    """The answer is not an image."""


@dataclass(frozen=True)
class Answer:
    """`sent` is a time of the monotonic clock; `failure` is empty when an image arrived in time."""

    sent: float
    seconds: float
    failure: str


class Load:
    """Sends from `clients` threads with a connection each for `seconds`, at least once. Failures are not repeated."""

    def __init__(self, port: int, ask: Ask, *, clients: int, seconds: float) -> None:
        self._port = port
        self._ask = ask
        self._clients = clients
        self._seconds = seconds
        self._answers: list[Answer] = []

    def run(self) -> list[Answer]:
        until = time.monotonic() + self._seconds
        with ThreadPoolExecutor(self._clients) as threads:
            for client in [threads.submit(self._client, until) for _ in range(self._clients)]:
                client.result()
        return self._answers

    def _client(self, until: float) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_SECONDS)
        while True:
            self._answers.append(self._answer(connection, next(_SEEDS)))
            if time.monotonic() >= until:
                break
        connection.close()

    def _answer(self, connection: HTTPConnection, seed: int) -> Answer:
        sent, failure = time.monotonic(), ""
        try:
            _connect(connection)
            if not self._ask(connection, seed).startswith(b"\x89PNG"):
                failure = "no PNG"
        except (OSError, HTTPException, NoImage) as exc:
            connection.close()
            failure = f"{type(exc).__name__}: {exc}"
        seconds = time.monotonic() - sent
        return Answer(sent, seconds, failure or ("late" if seconds > DEADLINE_SECONDS else ""))


def ask_peer(connection: HTTPConnection, seed: int) -> bytes:
    return _exchange(connection, "POST", "/generate", _body(seed))


def ask_studio(connection: HTTPConnection, seed: int) -> bytes:
    """Submit a job, poll it until it ends, and fetch its image."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    job = json.loads(_exchange(connection, "POST", "/v1/jobs", _body(seed)))
    while job["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {job['id']} has not ended")
        job = json.loads(_exchange(connection, "GET", f"/v1/jobs/{job['id']}"))
    if job["state"] != "succeeded":
        raise NoImage(json.dumps(job))
    return _exchange(connection, "GET", f"/v1/jobs/{job['id']}/artifacts/0")


def _body(seed: int) -> dict[str, object]:
    return {"prompt": f"{PROMPT} {seed}", "seed": seed}


def _connect(connection: HTTPConnection) -> None:
    """Connect, and try again when the connection is refused, since no server has accepted a request then."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while connection.sock is None:
        try:
            connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _exchange(connection: HTTPConnection, method: str, path: str, body: dict[str, object] | None = None) -> bytes:
    headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    data = response.read()
    if response.status >= 300:
        raise NoImage(f"{response.status} {data[:300]!r}")
    return data
