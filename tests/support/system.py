"""The whole system as real processes, started as an operator does: for end-to-end and fault tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from tests.support.polling import poll
from tests.support.servers.server import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
JOB_SECONDS = 60.0

CATALOGUE = """
[models.{name}]
title = "Scripted"
modality = "txt2img"
adapter = "tests.support.models.scripted_adapter:ScriptedAdapter"
source = "."
default = true
defaults = {{ width = 64, height = 64, steps = 1, guidance = 1.0 }}
max_batch = 4
options = {{ calls = "{calls}", seconds = {seconds} }}
"""


class System:
    """`folder` holds the data of embedded backends; `backends` are STUDIO_* variables that name distributed ones.

    The default catalogue offers the scripted adapter, whose steps take `seconds`. `program` is the module to run:
    `services`, or a replacement with the same arguments.
    """

    program: Sequence[str] = ("services",)

    def __init__(
        self, folder: Path, backends: Mapping[str, str], catalogue: Path | None = None, *, seconds: float = 0.0
    ) -> None:
        self.folder = folder
        # Each system has its own model, so that it gets no messages of an earlier test.
        self.model = f"scripted-{uuid4().hex[:8]}"
        self.calls = folder / "calls.txt"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.worker_url = ""  # of the worker started last
        self.client = httpx2.Client(base_url=self.url, timeout=15)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "log.txt").open("ab")
        if catalogue is None:
            catalogue = folder / "models.toml"
            catalogue.write_text(CATALOGUE.format(name=self.model, calls=self.calls, seconds=seconds))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")},
            "PYTHONPATH": str(ROOT),
            "STUDIO_CATALOGUE": str(catalogue),
            "STUDIO_DATA_DIR": str(folder / "data"),
            "STUDIO_BROKER_URL": f"sqlite:///{folder}/studio.db",
            "STUDIO_STATUSES_URL": f"sqlite:///{folder}/studio.db",
            "STUDIO_OBJECTS_URL": f"file:///{folder}/objects",
            "STUDIO_PORT": str(self.port),
            "STUDIO_POLL_SECONDS": "0.1",
            "STUDIO_SWEEP_SECONDS": "1",
            "STUDIO_BROKER_LEASE_SECONDS": "2",
            "STUDIO_STATUS_LEASE_SECONDS": "3",
            "STUDIO_GRACE_SECONDS": "10",
            "STUDIO_LOG_FORMAT": "json",
            **backends,
        }

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a `studio` process; `settings` are STUDIO_* variables in lower case, without the prefix."""
        environment = {**self.environment, **{f"STUDIO_{name.upper()}": value for name, value in settings.items()}}
        command = [sys.executable, "-m", *self.program, *arguments]
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        self._processes.append(process)
        return process

    def start_gateway(self, **settings: str) -> subprocess.Popen[bytes]:
        process = self.start("api", **settings)
        self.wait_until_ready(f"{self.url}/livez", process)
        return process

    def start_worker(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        port = free_port()
        self.worker_url = f"http://127.0.0.1:{port}"
        process = self.start("worker", *arguments, worker_port=str(port), **settings)
        self.wait_until_ready(f"{self.worker_url}/readyz", process)
        return process

    def submit(self, prompt: str, key: str | None = None, **params: Any) -> dict[str, Any]:
        """Submit a job and return it; the gateway must accept it."""
        headers = {"Idempotency-Key": key} if key else {}
        response = self.client.post("/v1/jobs", json={"prompt": prompt, **params}, headers=headers)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def wait(self, job_id: str, seconds: float = JOB_SECONDS) -> dict[str, Any]:
        """Wait until the job is in a terminal state, and return it."""
        return self.wait_for(job_id, lambda job: job["state"] not in ("queued", "running"), seconds)

    def wait_for(
        self, job_id: str, met: Callable[[dict[str, Any]], bool], seconds: float = JOB_SECONDS
    ) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        job: dict[str, Any] = {}
        while time.monotonic() < deadline:
            response = self.client.get(f"/v1/jobs/{job_id}")
            if response.status_code == 200:
                job = response.json()
                if met(job):
                    return job
            time.sleep(0.03)
        raise AssertionError(f"not in {seconds} s: {json.dumps(job)}\n{self.log()[-3000:]}")

    def generation_counts(self) -> dict[str, int]:
        """Return how often the model was called for the images of each job, by job id."""
        counts: dict[str, int] = {}
        for line in self.calls.read_text().splitlines() if self.calls.exists() else []:
            job_id, _ = line.split()
            counts[job_id] = counts.get(job_id, 0) + 1
        return counts

    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    def wait_for_log(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Wait until the log of all processes has a match of this regular expression, and return it."""
        return poll(
            lambda: re.search(pattern, self.log()), seconds, lambda: f"{pattern!r} in the log:\n{self.log()[-3000:]}"
        )

    def close(self) -> None:
        self.client.close()
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        self._log.close()

    def wait_until_ready(self, url: str, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"exited with {process.returncode}\n{self.log()[-3000:]}")
            try:
                if httpx2.get(url, timeout=5).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{url} did not answer\n{self.log()[-3000:]}")


@contextmanager
def running_system(
    folder: Path, backends: Mapping[str, str], catalogue: Path | None = None, *, seconds: float = 0.0
) -> Iterator[System]:
    system = System(folder, backends, catalogue, seconds=seconds)
    try:
        yield system
    finally:
        system.close()
