"""Shared by the benchmarks: the system as real processes on either kind of backends, and the bare pipeline."""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.subject import SHIPPED, Subject
from services.common.modalities.images import Txt2ImgParams
from services.common.settings import Settings
from services.inference.runtime.adapter import QUIET, Item
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.registry import resolve_adapter
from services.inference.runtime.sources import resolve_source
from tests.support.servers.stack import Stack, start_stack
from tests.support.system import System, running_system

BACKENDS = ("embedded", "distributed")
CORES = os.cpu_count() or 1
BATCH_SECONDS = 180.0  # enough for a few dozen jobs on a slow machine
PROMPT = "matte black coffee grinder"
# The system of the tests polls more often than a production system.
_DEFAULTS = {
    f"STUDIO_{name.upper()}": str(Settings.model_fields[name].default)
    for name in ("poll_seconds", "sweep_seconds", "broker_lease_seconds")
}


@contextmanager
def open_system(backends: str, queue_limit: int | None = None, subject: Subject = SHIPPED) -> Iterator[System]:
    """Open a system without processes; `backends` is one of BACKENDS."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name:
        folder = Path(name)
        settings = {
            "STUDIO_LOG_LEVEL": "warning",
            "STUDIO_DATA_DIR": str(folder / "data"),
            "STUDIO_DEVICE": subject.device,
            **_DEFAULTS,
        }
        if queue_limit is not None:
            settings["STUDIO_QUEUE_LIMIT"] = str(queue_limit)
        if backends == "embedded":
            with running_system(folder, settings, subject.models) as system:
                yield system
            return
        with start_stack(folder / "stack") as stack:
            if queue_limit is not None:
                raise_queue_limit(stack, queue_limit)
            with running_system(folder, {**settings, **stack.environment()}, subject.models) as system:
                yield system


def raise_queue_limit(stack: Stack, limit: int) -> None:
    """Raise the limit of RabbitMQ's queues by a policy that overrides the shipped limit of a thousand jobs a model."""
    stack.rabbitmq.ctl(
        *("set_policy", "bench", r"^studio\.jobs\.", json.dumps({"max-length": limit})),
        *("--apply-to", "queues", "--priority", "9"),
    )


def finished(system: System, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Wait until all jobs have ended and return them; polls are rare, so that they cost the system next to nothing.

    Raises TimeoutError when a job does not end in time, RuntimeError when one did not succeed.
    """
    deadline = time.monotonic() + BATCH_SECONDS
    for job_id in reversed(ids):
        while system.client.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} has not ended after {BATCH_SECONDS:g} s\n{system.log()[-3000:]}")
            time.sleep(0.5)
    jobs: list[dict[str, Any]] = [system.client.get(f"/v1/jobs/{job_id}").json() for job_id in ids]
    if failed := [job for job in jobs if job["state"] != "succeeded"]:
        raise RuntimeError(f"job {failed[0]['state']}: {failed[0]['error']}")
    return jobs


def seconds_between(jobs: Sequence[dict[str, Any]], begin: str, end: str) -> float:
    """Return the seconds from the earliest `begin` to the latest `end`, which name times of a job's JSON."""
    first = min(datetime.fromisoformat(job[begin]) for job in jobs)
    return (max(datetime.fromisoformat(job[end]) for job in jobs) - first).total_seconds()


def ask(client: HTTPConnection, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Send a request by the standard library, so that no client library's time counts as ours; return the JSON."""
    data = None if body is None else json.dumps(body).encode()
    client.request(method, path, data, {"Content-Type": "application/json"})
    response = client.getresponse()
    answer: dict[str, Any] = json.loads(response.read())
    if response.status not in (200, 202):
        raise RuntimeError(f"{method} {path}: {response.status} {answer}")
    return answer


class BarePipeline:
    """The adapter of a subject's model in its own thread, as in the worker, without the rest of the system."""

    def __init__(self, subject: Subject, threads: int, options: Mapping[str, Any] | None = None) -> None:
        self.model = subject.model.model_copy(update={"options": {**subject.model.options, **(options or {})}})
        adapter = resolve_adapter(self.model.adapter)
        source = resolve_source(self.model, catalogue_folder=subject.models.parent)
        self.executor = ModelExecutor(adapter(self.model, source), device=subject.device, threads=threads)

    async def seconds(self, *seeds: int, **given: int) -> float:
        """Make one call with an image a seed and return its seconds; `given` overrides the model's default params."""
        params = self.model.parameters({"prompt": PROMPT, **given})
        assert isinstance(params, Txt2ImgParams)
        items = [Item("bare", index, seed, PROMPT, "", params) for index, seed in enumerate(seeds)]
        begin = time.perf_counter()
        await self.executor.generate(items, QUIET)
        return time.perf_counter() - begin
