"""Clients of `peers`: each sends its next request as soon as the last is answered."""

import itertools
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from benchmarks.rig import PROMPT

PATIENCE_SECONDS = 90.0
# No two requests of a run are the same, so nobody may answer one with another's picture, or text with another's.
_SEEDS = itertools.count(1)

Ask = Callable[[HTTPConnection, int], bytes]


class NoPicture(Exception):
    """The answer is something else."""


@dataclass(frozen=True)
class Answer:
    """`sent` by the monotonic clock; `failure` is empty when a picture came in time."""

    sent: float
    seconds: float
    failure: str


class Load:
    """`clients` threads with a connection each send for `seconds`, at least once. What fails is not sent again."""

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
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
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
        except (OSError, HTTPException, NoPicture) as exc:
            connection.close()
            failure = f"{type(exc).__name__}: {exc}"
        seconds = time.monotonic() - sent
        return Answer(sent, seconds, failure or ("late" if seconds > PATIENCE_SECONDS else ""))


def ask_peer(connection: HTTPConnection, seed: int) -> bytes:
    return _exchange(connection, "POST", "/generate", _wish(seed))


def ask_studio(connection: HTTPConnection, seed: int) -> bytes:
    """Submit and wait, look again for as long as it is not over, fetch the picture."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    job = json.loads(_exchange(connection, "POST", "/v1/jobs", _wish(seed)))
    while job["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"job {job['id']} is not over")
        job = json.loads(_exchange(connection, "GET", f"/v1/jobs/{job['id']}"))
    if job["state"] != "succeeded":
        raise NoPicture(json.dumps(job))
    return _exchange(connection, "GET", f"/v1/jobs/{job['id']}/artifacts/0")


def _wish(seed: int) -> dict[str, object]:
    return {"prompt": f"{PROMPT} {seed}", "seed": seed}


def _connect(connection: HTTPConnection) -> None:
    """A refused connection is tried again: nobody has accepted that request yet."""
    deadline = time.monotonic() + PATIENCE_SECONDS
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
        raise NoPicture(f"{response.status} {data[:300]!r}")
    return data
