"""Watches a gateway from two threads: one polls every accepted job and keeps its history, one polls /livez."""

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

POLL_SECONDS: Final = 0.2
LIVE_SECONDS: Final = 1.0  # the deadline of an answer of /livez
TERMINAL: Final = ("succeeded", "failed", "canceled", "expired")
GONE: Final = (404, 410)


class JobWatcher:
    """`histories` holds the changes seen of every job, as pairs of state and attempt.

    `unresponsive` counts requests of /livez that were answered late, or failed while the gateway was not `down`.
    """

    def __init__(self, url: str, accepted: Mapping[int, str], down: Callable[[], bool]) -> None:
        self.histories: dict[str, list[tuple[str, int]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.changed_at = time.monotonic()
        self.unresponsive = 0
        self._url = url
        self._accepted = accepted
        self._down = down
        self._client = httpx2.Client(base_url=url, timeout=15)
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._poll_jobs, self._check_liveness)]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> int:
        """The number of jobs seen in a terminal state."""
        return sum(job["state"] in TERMINAL for job in list(self.jobs.values()))

    def poll(self, job_id: str) -> bool:
        """Request the job once; return True if the answer told its state."""
        try:
            response = self._client.get(f"/v1/jobs/{job_id}")
        except httpx2.TransportError:
            return False
        if response.status_code in GONE:
            self._note(job_id, str(response.status_code), 0)
            return True
        if response.status_code != 200:
            return False
        job = response.json()
        self.jobs[job_id] = job
        self._note(job_id, job["state"], job["attempt"])
        return True

    def close(self) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _note(self, job_id: str, state: str, attempt: int) -> None:
        history = self.histories.setdefault(job_id, [])
        if not history or history[-1] != (state, attempt):
            history.append((state, attempt))
            self.changed_at = time.monotonic()

    def _poll_jobs(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            for job_id in list(self._accepted.values()):
                if self._closed.is_set():
                    break
                if self.jobs.get(job_id, {}).get("state") in TERMINAL:
                    continue  # the audit polls it once more
                if not self.poll(job_id):
                    break  # the gateway does not answer now: try all jobs later

    def _check_liveness(self) -> None:
        address = urlsplit(self._url).netloc
        while not self._closed.wait(POLL_SECONDS):
            connection = http.client.HTTPConnection(address, timeout=LIVE_SECONDS)
            try:
                connection.request("GET", "/livez")
                if connection.getresponse().status != 200:
                    self.unresponsive += 1
            except TimeoutError:
                self.unresponsive += 1
            except (OSError, http.client.HTTPException):
                self.unresponsive += not self._down()
            finally:
                connection.close()
