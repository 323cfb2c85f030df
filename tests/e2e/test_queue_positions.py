"""Real processes tell a waiting client the job's position, a range of waiting times, and a loading model."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import poll
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]

SECONDS = 30.0


def queue_when(system: System, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Poll the only model's entry of /v1/queue until it meets the condition, and return it."""

    def matching() -> dict[str, Any] | None:
        entry: dict[str, Any] = system.client.get("/v1/queue").json()["data"][0]
        return entry if met(entry) else None

    return poll(matching, SECONDS, lambda: f"{system.client.get('/v1/queue').text}\n{system.log()[-3000:]}")


def test_positions_fall_and_times_are_given(system: System) -> None:
    """The queue tells a range around the time such a job took, before and after a submit, and positions only fall."""
    system.start_gateway()
    worker = system.start_worker()
    system.wait(system.submit("SLOW first")["id"])  # forty steps of 50 ms
    before = queue_when(system, lambda now: now["eta_seconds"] is not None and now["workers"]["ready"] == 1)
    assert before["eta_seconds"]["low"] <= 2.2 <= before["eta_seconds"]["high"] * 1.5
    jobs = [system.submit("SLOW one", reproducibility="strict")["id"] for _ in range(3)]
    assert queue_when(system, lambda now: now["workers"]["busy"] == 1)["depth"] >= 1

    places: list[int] = []
    while (job := system.client.get(f"/v1/jobs/{jobs[-1]}").json())["state"] == "queued":
        if job["queue"] is not None:
            places.append(job["queue"]["position"])
            assert job["queue"]["eta_seconds"]["high"] > 2
        time.sleep(0.05)
    assert places == sorted(places, reverse=True)
    assert {1, 2} <= set(places)
    assert job["queue"] is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    left = queue_when(system, lambda now: not any(now["workers"].values()))
    assert left["eta_seconds"] is None


@pytest.fixture
def gate(system: System) -> Path:
    """A file without which the adapter of this system does not finish loading."""
    gate = system.folder / "loaded"
    models = Path(system.environment["STUDIO_CATALOGUE"])
    models.write_text(models.read_text().replace("options = {", f'options = {{ gate = "{gate}",'))
    return gate


def test_loading_is_shown(system: System, gate: Path) -> None:
    """A job that waits for its model shows the phase loading, and runs once the model is loaded."""
    system.start_gateway()
    job = system.submit("red mug")
    assert job["progress"] is None
    system.start("worker")
    waiting = system.wait_for(job["id"], lambda now: now["progress"] is not None)
    assert (waiting["state"], waiting["progress"]["phase"]) == ("queued", "loading")
    gate.touch()
    assert system.wait(job["id"])["state"] == "succeeded"
    queue_when(system, lambda now: now["workers"]["ready"] == 1)


def test_worker_is_stopped_while_it_loads(system: System, gate: Path) -> None:
    """A worker that gets SIGTERM while its model loads exits with 0 at once."""
    system.start_gateway()
    worker = system.start("worker")
    queue_when(system, lambda now: now["workers"]["loading"] == 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
