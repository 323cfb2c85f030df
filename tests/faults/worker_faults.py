"""Faults of workers: they die, hang or are stopped, or a job makes them do so."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final

from tests.faults.load_client import JobRequest
from tests.faults.scenario import Scenario, ScenarioRun
from tests.faults.toxics import Latency

BETWEEN_WRITES: Final = ("worker.begun", "worker.generated", "worker.stored", "worker.finished", "worker.archived")
BUSY_SECONDS: Final = 30.0
LEASE_LOST_SECONDS: Final = 6.0  # longer than any lease in a scenario, and the looks at it


def worker_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "worker-killed-between-writes",
            "kill -9 of a worker after `begin`, generation, upload, `finish` and manifest, in turn",
            partial(worker_killed_at, BETWEEN_WRITES),
            workers=0,
            settings={
                "STUDIO_MAX_ATTEMPTS": "9",  # all workers may get the same job
                "STUDIO_TRUSTED_PROXIES": "127.0.0.1",  # each job has its own client: one lane, and one job at a time
            },
            begun_again=3,  # before `finish`
            generated_again=2,  # between generation and `finish`
        ),
        Scenario("worker-killed", "kill -9 of every worker during a model call, twice", _killed),
        Scenario(
            "worker-paused",
            "SIGSTOP to a worker during a model call until another worker has its jobs; then it continues as a zombie",
            _paused,
            workers=1,
        ),
        Scenario(
            "worker-stopped",
            "SIGTERM to a worker during a model call, and to another one twice",
            _stopped,
            begun_again=0,
        ),
        Scenario(
            "job-kills-worker",
            "a job kills every worker that tries it, while results take long to store",
            _slow_storage,
            extra_requests=(JobRequest("KILL the worker", 1, "failed", "poison"),),
            dead=1,
        ),
        Scenario(
            "job-hangs",
            "the model call of a job never returns",
            _nothing,
            extra_requests=(JobRequest("HANG for ever", 1, "failed", "timeout"),),
            settings={"STUDIO_JOB_DEADLINE_SECONDS": "2"},
        ),
        Scenario(
            "jobs-fail",
            "the model fails on jobs: an exception in the call, an exception in the batch key, too little memory",
            _nothing,
            extra_requests=(
                JobRequest("FAIL please", 1, "failed", "generation-failed"),
                JobRequest("OOM please", 2, "failed", "out-of-memory"),
                JobRequest("KEY please", 3, "failed", "generation-failed"),
            ),
        ),
        Scenario(
            "job-holds-gil",
            "the model call of a job holds the interpreter lock for about a second",
            _nothing,
            extra_requests=(JobRequest("GIL please", 1), JobRequest("GIL again", 2)),
        ),
    ]


@contextmanager
def _nothing(_run: ScenarioRun) -> Iterator[None]:
    """Add no fault: the extra requests are the fault."""
    yield


@contextmanager
def _slow_storage(run: ScenarioRun) -> Iterator[None]:
    """Slow the object store down, so that earlier jobs have not ended when the killing job is begun."""
    s3 = run.backends.proxies.get("s3")
    with s3.toxic(Latency(0.2)) if s3 else nullcontext():
        yield
        run.load.wait_until_accepted()
        prompts = {request.prompt for request in run.load.requests if request.state == "failed"}
        deadline = time.monotonic() + BUSY_SECONDS
        while not any(
            job["state"] == "failed" and job["params"]["prompt"] in prompts for job in list(run.watcher.jobs.values())
        ):
            if time.monotonic() > deadline:
                raise AssertionError("the job that kills workers does not end")
            time.sleep(0.05)


@contextmanager
def worker_killed_at(failpoints: Sequence[str], run: ScenarioRun) -> Iterator[None]:
    """Have a worker die at each of the failpoints, and then let two others work."""
    yield
    for failpoint in failpoints:
        worker = run.fleet.start_worker(ready=False, failpoint=failpoint, prefetch="1")
        code = worker.wait(BUSY_SECONDS)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{failpoint} was never reached: {code}")
    run.fleet.scale_to(2)


@contextmanager
def _killed(run: ScenarioRun) -> Iterator[None]:
    yield
    for _ in range(2):
        until_busy(run)
        for worker in run.fleet.workers:
            worker.kill()


@contextmanager
def _paused(run: ScenarioRun) -> Iterator[None]:
    yield
    until_busy(run)
    zombie = run.fleet.workers[0]
    zombie.send_signal(signal.SIGSTOP)
    try:
        run.fleet.scale_to(2)
        if broker := run.backends.proxies.get("broker"):
            broker.cut()  # RabbitMQ would wait minutes for the worker's heartbeat
        time.sleep(LEASE_LOST_SECONDS)
    finally:
        zombie.send_signal(signal.SIGCONT)


@contextmanager
def _stopped(run: ScenarioRun) -> Iterator[None]:
    yield
    for signals, worker in enumerate(list(run.fleet.workers), start=1):
        until_busy(run)
        for _ in range(signals):
            worker.send_signal(signal.SIGTERM)
        code = worker.wait(BUSY_SECONDS)
        if code:
            raise AssertionError(f"a worker told to stop exited with {code}")


def until_busy(run: ScenarioRun) -> None:
    """Return once the model is called again, or when no job is left to generate."""
    before = sum(run.system.generation_counts().values())
    deadline = time.monotonic() + BUSY_SECONDS
    while sum(run.system.generation_counts().values()) == before and run.watcher.ended < run.load.sent:
        if time.monotonic() > deadline:
            raise AssertionError(f"no worker is at work\n{run.system.log()[-3000:]}")
        time.sleep(0.02)
