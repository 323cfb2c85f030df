"""Submits jobs as a careful client: each with its own Idempotency-Key, repeated until it is answered."""

import base64
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import httpx2

from tests.support.picture_files import encoded, picture

CLIENTS: Final = 4
PAUSE_SECONDS: Final = 0.15  # between tries; honouring Retry-After would make the table take hours
GIVE_UP_SECONDS: Final = 60.0
RETRIED: Final = (409, 503)  # the first request is still being answered, or the gateway cannot accept now

PICTURE: Final = encoded(picture())
PICTURE_URL: Final = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"


@dataclass(frozen=True)
class JobRequest:
    """A job to submit and its expected end; `code` is the expected error code of the job.

    With `file` it is made from a picture, which comes as a data URL with every other job, and is sent in before the
    others. With `speech` the prompt is a text to say.
    """

    prompt: str
    seed: int
    state: str = "succeeded"
    code: str | None = None
    file: bool = False
    speech: bool = False


class LoadClient:
    """`accepted` maps a request's number to its job id; `refused` lists answers that a careful client must not get.

    `sent` counts the requests that have been started.
    """

    def __init__(self, url: str, requests: Sequence[JobRequest]) -> None:
        self.requests = requests
        self.accepted: dict[int, str] = {}
        self.refused: list[str] = []
        self._client = httpx2.Client(base_url=url, timeout=15)
        self._pool = ThreadPoolExecutor(CLIENTS, "client")
        self.sent = 0
        self._sending: list[Future[None]] = []
        self._closed = threading.Event()

    def send(self, upto: int) -> None:
        """Start to send the requests before number `upto`, and return at once."""
        self._sending += [self._pool.submit(self._submit, number) for number in range(self.sent, upto)]
        self.sent = max(self.sent, upto)

    def wait_until_accepted(self) -> None:
        """Return once every request sent is accepted or given up."""
        for sending in self._sending:
            sending.result()

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown()
        self._client.close()

    def _submit(self, number: int) -> None:
        request = self.requests[number]
        body: dict[str, object] = {
            "text" if request.speech else "prompt": request.prompt,
            "seed": request.seed,
        }
        # The client's address, for a gateway that trusts us as a proxy; others see a single client.
        headers = {"Idempotency-Key": f"request-{number}", "X-Forwarded-For": f"198.51.100.{number % 250}"}
        deadline = time.monotonic() + GIVE_UP_SECONDS
        answer = "nothing"
        while time.monotonic() < deadline and not self._closed.is_set():
            try:
                if request.file and "image" not in body:
                    body["image"] = PICTURE_URL if number % 2 else self._sent_in()
                response = self._client.post("/v1/jobs", json=body, headers=headers)
            except httpx2.TransportError as exc:
                answer = repr(exc)
            else:
                if response.status_code == 202:
                    self.accepted[number] = response.json()["id"]
                    return
                answer = f"{response.status_code} {response.text}"
                if response.status_code not in RETRIED:
                    break
            self._closed.wait(PAUSE_SECONDS)
        self.refused.append(f"{request.prompt!r} was answered {answer}")

    def _sent_in(self) -> str:
        """Send the picture in, and return its id. Raises TransportError as if there was no answer, while refused."""
        answer = self._client.post("/v1/inputs", content=PICTURE)
        if answer.status_code != 201:
            raise httpx2.TransportError(answer.text)
        input_id: str = answer.json()["id"]
        return input_id
