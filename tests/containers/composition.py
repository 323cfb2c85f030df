"""The whole of compose.yaml on the container engine of this machine, as a project of its own."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from tests.support.compose_files import ROOT, SECRETS
from tests.support.polling import poll
from tests.support.servers.server import free_port

FILES: Final = f"{os.environ.get('COMPOSE_FILE', 'compose.yaml')}:tests/containers/ports.yaml"
OURS: Final = ("gateway", "worker")
START_SECONDS: Final = 1800.0  # the first build downloads and installs torch
COMMAND_SECONDS: Final = 300.0
JOB_SECONDS: Final = 300.0
PROMPT: Final = "matte black coffee grinder"


class Composition:
    """The containers of the profiles `cpu` and `minio`. `url` is where their gateway answers."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx2.Client(base_url=self.url, timeout=15)
        given = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "GATEWAY_"))}
        self._environment = {
            **given,
            **SECRETS,
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "COMPOSE_FILE": FILES,
            "COMPOSE_PROFILES": "cpu,minio",
            "COMPOSE_PROJECT_NAME": "studio-test",
            "IMAGE_PREFIX": "studio",
            "IMAGE_TAG": "test",
            "GATEWAY_PORT": str(port),
            "STUDIO_RATE_LIMIT": "none",
        }

    def compose(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        """Run `docker compose ARGUMENTS` and return its output. Raises CalledProcessError and TimeoutExpired."""
        return self._docker("compose", *arguments, seconds=seconds)

    def up(self) -> float:
        """Start what does not run, and return the seconds until all containers are healthy."""
        began = time.monotonic()
        try:
            self.compose("up", "--detach", "--wait")
        except subprocess.CalledProcessError:
            print(self.compose("logs", "--tail", "50"))
            raise
        return time.monotonic() - began

    def submit(self, count: int) -> list[str]:
        """Submit jobs of one image each and return their ids; the gateway must accept them."""
        answers = [self._client.post("/v1/jobs", json={"prompt": PROMPT, "num_images": 1}) for _ in range(count)]
        assert {answer.status_code for answer in answers} == {202}, answers[-1].text
        return [answer.json()["id"] for answer in answers]

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self._client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def until_one_succeeded(self, jobs: list[str]) -> None:
        """Return once a job has succeeded, so that the worker is in the midst of the others."""
        poll(lambda: any(self.job(each)["state"] == "succeeded" for each in jobs), JOB_SECONDS, lambda: "no job ended")

    def results(self, jobs: list[str]) -> list[dict[str, Any]]:
        """Return the jobs once all have ended."""
        return [self._ended(job_id) for job_id in jobs]

    def photo(self, job: dict[str, Any]) -> bytes:
        return self._client.get(job["artifacts"][0]["url"]).content

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what `docker inspect` says of every container, by the name of its service."""
        ids = self.compose("ps", "--all", "--quiet").split()
        found: list[dict[str, Any]] = json.loads(self._docker("inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def exit_codes(self) -> dict[str, int]:
        """Return the exit codes of the containers that do not run."""
        states = {name: each["State"] for name, each in self.containers().items()}
        return {name: state["ExitCode"] for name, state in states.items() if not state["Running"]}

    def memory_bytes(self) -> dict[str, int]:
        """Return what each container uses, without the cache of its files, as `docker stats` says."""
        names = {each["Id"]: name for name, each in self.containers().items()}
        lines = self._docker("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.MemUsage}}", *names)
        used = (line.split()[:2] for line in lines.splitlines())
        return {names[container]: _bytes(amount) for container, amount in used}

    def changes(self) -> dict[str, list[str]]:
        """Return the files and folders outside its volumes that each container added or changed."""
        lines = {name: self._docker("diff", each["Id"]).splitlines() for name, each in self.containers().items()}
        return {name: [line.partition(" ")[2] for line in changed] for name, changed in lines.items()}

    def close(self) -> None:
        """Remove the containers and their volumes; the images stay."""
        self._client.close()
        self.compose("down", "--volumes", "--timeout", "10")

    def _ended(self, job_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["finished_at"] else None

        return poll(ended, JOB_SECONDS, lambda: self.compose("logs", "--tail", "30"))

    def _docker(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        done = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=True,
        )
        return done.stdout


@contextmanager
def running_composition() -> Iterator[Composition]:
    """Build the images, start all containers, and remove them when the block ends."""
    composition = Composition()
    try:
        composition.compose("down", "--volumes")  # of a run that was killed
        began = time.monotonic()
        composition.compose("build", seconds=START_SECONDS)
        print(f"images built in {time.monotonic() - began:.0f} s; healthy {composition.up():.0f} s after the start")
        yield composition
    finally:
        composition.close()


def _bytes(amount: str) -> int:
    """Return the bytes of an amount such as `96.5MiB`."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1)):
        if amount.endswith(unit):
            return int(float(amount.removesuffix(unit)) * factor)
    raise ValueError(amount)
