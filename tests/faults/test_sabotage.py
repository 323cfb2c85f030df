"""The rig notices a broken promise of the system: the column of the promise is not zero."""

import dataclasses

import pytest

from tests.faults.backends import ScenarioBackends
from tests.faults.runner import run_scenario
from tests.faults.sabotage import SABOTAGES
from tests.faults.scenarios import scenarios

JOBS = 9
STALL_SECONDS = 5.0


@pytest.mark.parametrize("name", ["early-ack", "forget-keys", "mix-up", "reopen"])
def test_is_noticed(name: str) -> None:
    """A system that acks too early, ignores keys, mixes images up or begins finished jobs does not pass."""
    sabotage = SABOTAGES[name]
    scenario = next(each for each in scenarios() if each.name == sabotage.scenario)
    result = run_scenario(scenario, ScenarioBackends(), JOBS, ("tests.faults.sabotage", name), STALL_SECONDS)
    assert not result.ok
    assert dataclasses.asdict(result)[sabotage.column] > 0, result.line(as_json=False)
