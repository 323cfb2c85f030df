"""Workers that die, stand still or are told to stop, and jobs that do that to them."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from tests.faults.load_client import Wish
from tests.faults.scenario import Scenario, Stage
from tests.faults.toxics import Latency

BETWEEN_WRITES: Final = ("worker.begun", "worker.generated", "worker.stored", "worker.finished", "worker.archived")
BUSY_SECONDS: Final = 30.0
LEASE_LOST_SECONDS: Final = 4.0  # longer than any lease of the rig


def worker_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "worker-killed-between-writes",
            "kill -9 of a worker after `begin`, generation, upload, `finish` and manifest, one after the other",
            _killed_between_writes,
            workers=0,
            settings={
                "STUDIO_MAX_ATTEMPTS": "9",  # they may all meet the same job
                "STUDIO_TRUSTED_PROXIES": "127.0.0.1",  # each job is somebody else's: one lane, and one job in hand
            },
            begun_again=3,  # before `finish`
            painted_again=2,  # between generation and `finish`
        ),
        Scenario("worker-killed", "kill -9 of every worker in the middle of a call, twice", _killed),
        Scenario(
            "worker-paused",
            "SIGSTOP of a worker in the middle of a call, until another has its jobs; then it goes on, a zombie",
            _paused,
            workers=1,
        ),
        Scenario(
            "worker-stopped",
            "SIGTERM of a worker in the middle of a call, and of another with a second SIGTERM behind it",
            _stopped,
            begun_again=0,
        ),
        Scenario(
            "job-kills-worker",
            "a job that takes down every worker that tries it, while results take long to be stored",
            _slow_storage,
            guests=(Wish("KILL the worker", 1, "failed", "poison"),),
            dead=1,
        ),
        Scenario(
            "job-hangs",
            "a job whose call of the model never returns",
            _nothing,
            guests=(Wish("HANG for ever", 1, "failed", "timeout"),),
            settings={"STUDIO_JOB_DEADLINE_SECONDS": "2"},
        ),
        Scenario(
            "jobs-fail",
            "jobs the model fails on: an exception, another where it is asked for a batch key, too little memory",
            _nothing,
            guests=(
                Wish("FAIL please", 1, "failed", "generation-failed"),
                Wish("OOM please", 2, "failed", "out-of-memory"),
                Wish("KEY please", 3, "failed", "generation-failed"),
            ),
        ),
        Scenario(
            "job-holds-gil",
            "jobs in which the model lets no other thread of the worker run for about a second",
            _nothing,
            guests=(Wish("GIL please", 1), Wish("GIL again", 2)),
        ),
    ]


@contextmanager
def _nothing(_stage: Stage) -> Iterator[None]:
    """The guests are the fault."""
    yield


@contextmanager
def _slow_storage(stage: Stage) -> Iterator[None]:
    """So that jobs made before the guest are not over when it is begun."""
    s3 = stage.ground.proxies.get("s3")
    with s3.toxic(Latency(0.2)) if s3 else nullcontext():
        yield
        stage.load.wait_until_accepted()
        guests = {wish.prompt for wish in stage.load.wishes if wish.state == "failed"}
        deadline = time.monotonic() + BUSY_SECONDS
        while not any(
            job["state"] == "failed" and job["params"]["prompt"] in guests for job in list(stage.watcher.jobs.values())
        ):
            if time.monotonic() > deadline:
                raise AssertionError("the job that kills workers does not end")
            time.sleep(0.05)


@contextmanager
def _killed_between_writes(stage: Stage) -> Iterator[None]:
    yield
    for failpoint in BETWEEN_WRITES:
        worker = stage.crew.hire(ready=False, failpoint=failpoint, prefetch="1")
        code = worker.wait(BUSY_SECONDS)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{failpoint} was never reached: {code}")
    stage.crew.man(2)


@contextmanager
def _killed(stage: Stage) -> Iterator[None]:
    yield
    for _ in range(2):
        until_busy(stage)
        for worker in stage.crew.workers:
            worker.kill()


@contextmanager
def _paused(stage: Stage) -> Iterator[None]:
    yield
    until_busy(stage)
    zombie = stage.crew.workers[0]
    zombie.send_signal(signal.SIGSTOP)
    try:
        stage.crew.man(2)
        if broker := stage.ground.proxies.get("broker"):
            broker.cut()  # RabbitMQ would wait for the worker's heartbeat for minutes
        time.sleep(LEASE_LOST_SECONDS)
    finally:
        zombie.send_signal(signal.SIGCONT)


@contextmanager
def _stopped(stage: Stage) -> Iterator[None]:
    yield
    for signals, worker in enumerate(list(stage.crew.workers), start=1):
        until_busy(stage)
        for _ in range(signals):
            worker.send_signal(signal.SIGTERM)
        code = worker.wait(BUSY_SECONDS)
        if code:
            raise AssertionError(f"a worker told to stop left with {code}")


def until_busy(stage: Stage) -> None:
    """Return once the model is called again; or when there is nothing left to call it for."""
    before = sum(stage.system.pictures_painted().values())
    deadline = time.monotonic() + BUSY_SECONDS
    while sum(stage.system.pictures_painted().values()) == before and stage.watcher.ended < stage.load.sent:
        if time.monotonic() > deadline:
            raise AssertionError(f"no worker is at work\n{stage.system.log()[-3000:]}")
        time.sleep(0.02)
