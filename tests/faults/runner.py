"""Plays one scenario on one kind of backends."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.backends import Ground
from tests.faults.fleet import Crew
from tests.faults.job_audit import judge
from tests.faults.job_watcher import Watcher
from tests.faults.load_client import Load, Wish
from tests.faults.result import Result
from tests.faults.scenario import Scenario, Stage
from tests.support.system import running_system

PATIENCE_SECONDS: Final = 25.0  # without any job going on, after the fault is over
STEP_SECONDS: Final = 0.1
SETTINGS: Final = {
    "STUDIO_SWEEP_SECONDS": "3600",  # the sweeper mends what is lost, and so would hide it
    "STUDIO_STATUS_LEASE_SECONDS": "3",
    "STUDIO_LOG_LEVEL": "warning",
    "STUDIO_RATE_LIMIT": "",  # a client that repeats itself is no fault of ours
}


def play(
    scenario: Scenario,
    ground: Ground,
    jobs: int,
    program: Sequence[str] = ("services",),
    patience_seconds: float = PATIENCE_SECONDS,
) -> Result:
    """`program` stands for `services` where that is sabotaged. Raises AssertionError when a process cannot start."""
    ground.clear()
    began = time.monotonic()
    environment = {**ground.environment(), **SETTINGS, **scenario.settings}
    with (
        tempfile.TemporaryDirectory(prefix="studio-") as folder,
        running_system(Path(folder), environment, seconds=STEP_SECONDS) as system,
    ):
        system.program = program
        crew = Crew(system, scenario.workers)
        load = Load(system.url, _wishes(scenario, jobs))
        watcher = Watcher(system.url, load.accepted, lambda: crew.down)
        stage = Stage(system, ground, crew, load, watcher)
        try:
            trouble = _trouble_in(scenario, stage, patience_seconds)
            return judge(scenario, stage, trouble, lambda: time.monotonic() - began)
        finally:
            load.close()
            watcher.close()
            crew.stop_workers()


def _trouble_in(scenario: Scenario, stage: Stage, patience_seconds: float) -> list[str]:
    try:
        _act(scenario, stage, patience_seconds)
    except AssertionError as exc:
        return [str(exc)]
    return []


def _wishes(scenario: Scenario, jobs: int) -> list[Wish]:
    """The guests come first of those that are sent under the fault."""
    wishes = [Wish(f"product {number}", number) for number in range(jobs)]
    third = len(wishes) // 3
    return [*wishes[:third], *scenario.guests, *wishes[third:]]


def _act(scenario: Scenario, stage: Stage, patience_seconds: float) -> None:
    load, watcher = stage.load, stage.watcher
    third = (len(load.wishes) - len(scenario.guests)) // 3
    load.send(third)
    load.wait_until_accepted()
    with scenario.fault(stage):
        load.send(2 * third + len(scenario.guests))
    load.send(len(load.wishes))
    load.wait_until_accepted()
    watcher.changed_at = time.monotonic()
    while watcher.ended < len(load.accepted) and time.monotonic() - watcher.changed_at < patience_seconds:
        time.sleep(0.05)
