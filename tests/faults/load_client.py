"""Requests sent through the front door by a careful client: each with a key of its own, and repeated until answered."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import httpx2

CLIENTS: Final = 4
PAUSE_SECONDS: Final = 0.15  # between tries; a real client would honour Retry-After, and the table take hours
GIVE_UP_SECONDS: Final = 60.0
AGAIN: Final = (409, 503)  # still being answered, and not now


@dataclass(frozen=True)
class Wish:
    """What is asked for, and how it has to end: `code` is that of the job's error."""

    prompt: str
    seed: int
    state: str = "succeeded"
    code: str | None = None


class Load:
    """`accepted` maps the number of a wish to its job; `refused` holds what no careful client should be told.

    `sent` counts the wishes that were begun to be sent.
    """

    def __init__(self, url: str, wishes: Sequence[Wish]) -> None:
        self.wishes = wishes
        self.accepted: dict[int, str] = {}
        self.refused: list[str] = []
        self._client = httpx2.Client(base_url=url, timeout=15)
        self._pool = ThreadPoolExecutor(CLIENTS, "client")
        self.sent = 0
        self._sending: list[Future[None]] = []
        self._closed = threading.Event()

    def send(self, upto: int) -> None:
        """Begin to send the wishes before this one; returns at once."""
        self._sending += [self._pool.submit(self._submit, number) for number in range(self.sent, upto)]
        self.sent = max(self.sent, upto)

    def wait_until_accepted(self) -> None:
        """Return once everything that was sent is accepted, or was given up."""
        for sending in self._sending:
            sending.result()

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown()
        self._client.close()

    def _submit(self, number: int) -> None:
        wish = self.wishes[number]
        body = {"prompt": wish.prompt, "seed": wish.seed}
        # Whose it is, for a gateway that trusts us as a proxy; all others take every wish for one party's.
        headers = {"Idempotency-Key": f"wish-{number}", "X-Forwarded-For": f"198.51.100.{number % 250}"}
        deadline = time.monotonic() + GIVE_UP_SECONDS
        answer = "nothing"
        while time.monotonic() < deadline and not self._closed.is_set():
            try:
                response = self._client.post("/v1/jobs", json=body, headers=headers)
            except httpx2.TransportError as exc:
                answer = repr(exc)
            else:
                if response.status_code == 202:
                    self.accepted[number] = response.json()["id"]
                    return
                answer = f"{response.status_code} {response.text}"
                if response.status_code not in AGAIN:
                    break
            self._closed.wait(PAUSE_SECONDS)
        self.refused.append(f"{wish.prompt!r} was answered {answer}")
