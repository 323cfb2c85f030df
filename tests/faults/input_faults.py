"""Faults of jobs that are made from files: a process dies between the writes of the file and of the job."""

from functools import partial

from tests.faults.gateway_faults import gateway_killed_at
from tests.faults.scenario import Scenario
from tests.faults.worker_faults import worker_killed_at


def input_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "gateway-killed-between-files-and-jobs",
            "kill -9 of the gateway after a file, after the hold of its job and after `create`, in turn",
            partial(gateway_killed_at, ("gateway.filed", "gateway.given", "gateway.created")),
            workers=1,
            begun_again=0,
            generated_again=0,
            files=True,
        ),
        Scenario(
            "worker-killed-with-files",
            "kill -9 of a worker after `begin`, after it has fetched the files and after the call, in turn",
            partial(worker_killed_at, ("worker.begun", "worker.fetched", "worker.generated")),
            workers=0,
            settings={"STUDIO_MAX_ATTEMPTS": "9", "STUDIO_TRUSTED_PROXIES": "127.0.0.1"},
            begun_again=3,
            generated_again=1,
            files=True,
        ),
    ]
