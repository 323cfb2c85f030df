"""Runs one scenario on one kind of backends."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.backends import ScenarioBackends
from tests.faults.fleet import Fleet
from tests.faults.job_audit import audit
from tests.faults.job_watcher import JobWatcher
from tests.faults.load_client import JobRequest, LoadClient
from tests.faults.result import Result
from tests.faults.scenario import Scenario, ScenarioRun
from tests.support.models.scripted_edit_adapter import offer_edits
from tests.support.models.spoken import offer_speech
from tests.support.system import running_system

STALL_SECONDS: Final = 25.0  # the run ends when no job has changed for so long after the fault
STEP_SECONDS: Final = 0.1
SETTINGS: Final = {
    "STUDIO_SWEEP_SECONDS": "3600",  # the sweeper repairs losses, and so would hide them
    "STUDIO_LOG_LEVEL": "warning",
    "STUDIO_RATE_LIMIT": "none",  # a client may repeat its requests as often as needed
    "GOMP_SPINCOUNT": "3000",  # the workers of a scenario share the cores
}


def run_scenario(
    scenario: Scenario,
    backends: ScenarioBackends,
    jobs: int,
    program: Sequence[str] = ("services",),
    stall_seconds: float = STALL_SECONDS,
) -> Result:
    """Run the scenario and return its result; `program` replaces `services` for a sabotaged system.

    Raises AssertionError when a process cannot start.
    """
    backends.clear()
    began = time.monotonic()
    environment = {**backends.environment(), **SETTINGS, **scenario.settings}
    with (
        tempfile.TemporaryDirectory(prefix="studio-") as folder,
        running_system(Path(folder), environment, seconds=STEP_SECONDS) as system,
    ):
        system.program = program
        if scenario.files:
            offer_edits(system, STEP_SECONDS)
        if scenario.speech:
            offer_speech(system)
        fleet = Fleet(system, scenario.workers)
        load = LoadClient(system.url, _job_requests(scenario, jobs))
        watcher = JobWatcher(system.url, load.accepted, lambda: fleet.gateway_down)
        run = ScenarioRun(system, backends, fleet, load, watcher)
        try:
            trouble = _trouble_in(scenario, run, stall_seconds)
            return audit(scenario, run, trouble, lambda: time.monotonic() - began)
        finally:
            load.close()
            watcher.close()
            fleet.stop_workers()


def _trouble_in(scenario: Scenario, run: ScenarioRun, stall_seconds: float) -> list[str]:
    try:
        _send_jobs(scenario, run, stall_seconds)
    except AssertionError as exc:
        return [str(exc)]
    return []


def _job_requests(scenario: Scenario, jobs: int) -> list[JobRequest]:
    """Return all requests; the scenario's extra ones are the first that are sent under the fault."""
    requests = [
        JobRequest(f"product {number}", number, file=scenario.files, speech=scenario.speech) for number in range(jobs)
    ]
    third = len(requests) // 3
    return [*requests[:third], *scenario.extra_requests, *requests[third:]]


def _send_jobs(scenario: Scenario, run: ScenarioRun, stall_seconds: float) -> None:
    load, watcher = run.load, run.watcher
    third = (len(load.requests) - len(scenario.extra_requests)) // 3
    load.send(third)
    load.wait_until_accepted()
    with scenario.fault(run):
        load.send(2 * third + len(scenario.extra_requests))
    load.send(len(load.requests))
    load.wait_until_accepted()
    watcher.changed_at = time.monotonic()
    while watcher.ended < len(load.accepted) and time.monotonic() - watcher.changed_at < stall_seconds:
        time.sleep(0.05)
