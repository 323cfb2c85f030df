"""The rig notices what it is there to notice: where a promise is broken, its column is not zero."""

import dataclasses

import pytest

from tests.faults.backends import Ground
from tests.faults.runner import play
from tests.faults.sabotage import SABOTAGES
from tests.faults.scenarios import scenarios

JOBS = 9
PATIENCE_SECONDS = 5.0


@pytest.mark.parametrize("name", ["early-ack", "forget-keys", "mix-up", "reopen"])
def test_is_noticed(name: str) -> None:
    """A system that acks too early, knows no keys, mixes pictures up or begins what is over does not pass."""
    sabotage = SABOTAGES[name]
    scenario = next(each for each in scenarios() if each.name == sabotage.scenario)
    result = play(scenario, Ground(), JOBS, ("tests.faults.sabotage", name), PATIENCE_SECONDS)
    assert not result.ok
    assert dataclasses.asdict(result)[sabotage.column] > 0, result.line(as_json=False)
