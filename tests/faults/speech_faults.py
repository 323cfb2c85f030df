"""Faults of jobs that are said by a real voice: a worker dies at each step of one."""

from functools import partial

from tests.faults.scenario import Scenario
from tests.faults.worker_faults import worker_killed_at


def speech_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "worker-killed-while-speaking",
            "kill -9 of a worker with a voice after `begin`, after the call and after the sound is stored, in turn",
            partial(worker_killed_at, ("worker.begun", "worker.generated", "worker.stored")),
            workers=0,
            settings={"STUDIO_MAX_ATTEMPTS": "9", "STUDIO_TRUSTED_PROXIES": "127.0.0.1"},
            begun_again=3,
            speech=True,
        ),
    ]
