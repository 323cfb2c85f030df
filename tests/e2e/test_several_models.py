"""One worker that serves several models, as processes, from the request over HTTP to the photo."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import pytest
import redis

from tests.support.metrics_scrape import Scrape
from tests.support.polling import poll
from tests.support.system import ROOT, System, running_system

ENTRY = """
[models.{name}]
title = "{name}"
modality = "txt2img"
adapter = "tests.support.models.{adapter}"
source = "{source}"
default = {default}
defaults = {{ width = 64, height = 64, steps = 1, guidance = 1.0 }}
max_batch = 4
options = {{ {options} }}
"""
SCRIPTED, FAULTY = "scripted_adapter:ScriptedAdapter", "faulty_adapter:FaultyAdapter"
TWO_REAL = (("one", "true"), ("two", "false"))
BROKEN = 'at = "loaded", failure = "an error of the system"'


class Catalogue:
    """A catalogue whose first model is the default. Each notes its calls in a file of its name."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "models.toml"
        self._folder = folder
        self.file.touch()

    def add(self, name: str, options: str = "", source: str = ".", *, adapter: str = SCRIPTED) -> None:
        default = "false" if self.file.read_text() else "true"
        options = options or f'calls = "{self.calls(name)}"'
        entry = ENTRY.format(name=name, adapter=adapter, source=source, default=default, options=options)
        self.file.write_text(self.file.read_text() + entry)

    def gated(self, name: str) -> Path:
        """Add a model whose load waits until the file that is returned exists."""
        gate = self._folder / f"gate-{name}"
        self.add(name, f'calls = "{self.calls(name)}", gate = "{gate}"')
        return gate

    def calls(self, name: str) -> Path:
        return self._folder / f"calls-{name}.txt"

    def made(self, name: str) -> list[str]:
        """Return the jobs that this model was called for, once for each image."""
        return [line.split()[0] for line in self.calls(name).read_text().splitlines()]


@contextmanager
def system_of(
    folder: Path, *names: str, backends: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[System, Catalogue]]:
    """Yield a system that offers these models, without processes."""
    catalogue = Catalogue(folder)
    for name in names:
        catalogue.add(name)
    with running_system(folder, backends, catalogue.file) as system:
        yield system, catalogue


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def backends(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Return the settings of backends: of the embedded ones none."""
    if request.param == "embedded":
        return {}
    stack = request.getfixturevalue("stack")
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()
    settings: Mapping[str, str] = stack.environment()
    return settings


def states(system: System) -> dict[str, str]:
    models: dict[str, str] = httpx2.get(f"{system.worker_url}/readyz", timeout=10).json()["models"]
    return models


def phases(system: System, model: str) -> dict[str, int]:
    """Return the phases that the gateway knows workers of this model in, with how many are in each."""
    queues = system.client.get("/v1/queue").json()["data"]
    (workers,) = (each["workers"] for each in queues if each["model"] == model)
    return {phase: count for phase, count in workers.items() if count}


def submit(system: System, model: str, prompt: str = "mug", **params: Any) -> str:
    return str(system.submit(prompt, model=model, **params)["id"])


def _left_or_ended(system: System, process: subprocess.Popen[bytes], job: str) -> bool:
    return process.poll() is not None or system.client.get(f"/v1/jobs/{job}").json()["state"] == "failed"


def test_jobs_of_each_model_are_made(tmp_path: Path, backends: Mapping[str, str]) -> None:
    """A worker told of two models makes the jobs of each with its own model, loaded when the first job comes."""
    with system_of(tmp_path, "one", "two", "three", backends=backends) as (system, catalogue):
        system.start_gateway()
        system.start_worker("--model", "one", "--model", "two")
        assert states(system) == {"one": "loaded", "two": "unloaded"}
        poll(lambda: phases(system, "two") == {"ready": 1}, 10)
        assert phases(system, "three") == {}
        jobs = {model: [submit(system, model, f"mug {number}") for number in range(5)] for model in ("one", "two")}
        for model, ids in jobs.items():
            assert [system.wait(job)["state"] for job in ids] == ["succeeded"] * 5
            assert sorted(catalogue.made(model)) == sorted(ids)
        assert states(system) == {"one": "loaded", "two": "loaded"}
        told = Scrape(system.worker_url)
        for model in jobs:
            assert told("studio_jobs_finished_total", model=model, outcome="succeeded") == 5
            assert told("studio_worker_ready", model=model) == told("studio_model_loaded", model=model) == 1
            assert told("studio_stage_seconds_count", model=model, stage="load") == 1


def test_models_take_turns_in_the_memory(tmp_path: Path) -> None:
    """With memory for one model, the other is unloaded for it, and comes back for its next job."""
    with system_of(tmp_path, "one", "two") as (system, _):
        system.start_gateway()
        system.start_worker(models="two, one", model_memory="1KB")
        assert states(system) == {"one": "loaded", "two": "unloaded"}
        for model, other in (("two", "one"), ("one", "two"), ("two", "one")):
            assert system.wait(submit(system, model))["state"] == "succeeded"
            assert states(system) == {model: "loaded", other: "unloaded"}
        poll(lambda: phases(system, "one") == phases(system, "two") == {"ready": 1}, 10)
        assert Scrape(system.worker_url)("studio_model_loaded", model="one") == 0


def test_model_that_cannot_be_loaded_stops_no_other(tmp_path: Path) -> None:
    """Its jobs wait uncharged for a worker that can load it; jobs of the other models are made meanwhile."""
    with system_of(tmp_path, "good") as (system, catalogue):
        catalogue.add("bad", BROKEN, adapter=FAULTY)
        system.start_gateway()
        first = system.start_worker("--model", "good", "--model", "bad")
        waiting = [submit(system, "bad", f"mug {number}") for number in range(2)]
        poll(lambda: phases(system, "bad") == {"unavailable": 1}, 20, system.log)
        assert system.wait(submit(system, "good"))["state"] == "succeeded"
        assert states(system) == {"good": "loaded", "bad": "unavailable"}
        jobs = [system.client.get(f"/v1/jobs/{job}").json() for job in waiting]
        assert [(job["state"], job["attempt"]) for job in jobs] == [("queued", 0)] * 2
        assert first.poll() is None
        catalogue.file.write_text(catalogue.file.read_text().replace(BROKEN, f'calls = "{catalogue.calls("bad")}"'))
        catalogue.file.write_text(catalogue.file.read_text().replace(FAULTY, SCRIPTED))
        system.start_worker("--model", "bad")
        ended = [system.wait(job) for job in waiting]
        assert [(job["state"], job["attempt"]) for job in ended] == [("succeeded", 1)] * 2


def test_worker_without_a_model_left_leaves(tmp_path: Path) -> None:
    """A worker leaves with the exit code that nothing restarts when none of its models can be loaded."""
    with system_of(tmp_path) as (system, catalogue):
        catalogue.add("bad", BROKEN, adapter=FAULTY)
        catalogue.add("worse", 'at = "made", failure = "a missing key"', adapter=FAULTY)
        catalogue.add("worst", source="nowhere")
        assert system.start("worker", models="bad,worse,worst").wait(60) == 78
        log = [json.loads(line) for line in system.log().splitlines()]
    faults = {each["model"]: each["reason"] for each in log if "model unavailable" in each["event"] and "model" in each}
    assert faults.keys() == {"worse", "worst"}
    assert log[-1]["event"] == "model unavailable"
    assert "bad cannot be loaded" in log[-1]["reason"]


def test_default_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    """Where the first model fails at the start, the worker is ready with the next one."""
    with system_of(tmp_path) as (system, catalogue):
        catalogue.add("bad", BROKEN, adapter=FAULTY)
        catalogue.add("good")
        system.start_gateway()
        system.start_worker(models="bad,good")
        assert states(system) == {"bad": "unavailable", "good": "loaded"}
        poll(lambda: phases(system, "bad") == {"unavailable": 1}, 10)
        assert system.wait(submit(system, "good"))["state"] == "succeeded"


def test_job_that_kills_the_worker_is_charged_alone(tmp_path: Path, backends: Mapping[str, str]) -> None:
    """A job of one model that takes the worker down ends as poison, and jobs of the other lose no attempt by it."""
    with system_of(tmp_path, "one", "two", backends=backends) as (system, catalogue):
        system.start_gateway()
        killer = submit(system, "one", "KILL")
        behind = [submit(system, "two", f"mug {number}") for number in range(3)]
        for _ in range(4):  # three that it takes down, and one that ends it
            process = system.start("worker", models="one,two")
            poll(partial(_left_or_ended, system, process, killer), 60, system.log)
        ended = system.client.get(f"/v1/jobs/{killer}").json()
        assert ended["error"]["code"] == "poison"
        assert len(catalogue.made("one")) == 3
        jobs = [system.wait(job) for job in behind]
        assert [(job["state"], job["attempt"]) for job in jobs] == [("succeeded", 1)] * 3


def test_load_that_kills_the_worker(tmp_path: Path) -> None:
    """Jobs that wait for a load that takes the worker down are not charged, and the first model goes on working."""
    with system_of(tmp_path, "one") as (system, catalogue):
        catalogue.add("deadly", f'calls = "{catalogue.calls("deadly")}", deadly = true')
        system.start_gateway()
        waiting = submit(system, "deadly")
        good = [submit(system, "one", f"SLOW mug {number}", reproducibility="strict") for number in range(3)]
        for _ in range(2):
            assert system.start("worker", models="one,deadly", broker_lease_seconds="1").wait(60) == -signal.SIGKILL
        system.start_worker("--model", "one")
        jobs = [system.wait(job) for job in good]
        assert [job["state"] for job in jobs] == ["succeeded"] * 3
        # One may have been made and not yet stored when the process died.
        assert sorted(job["attempt"] for job in jobs) in ([1, 1, 1], [1, 1, 2])
        job = system.client.get(f"/v1/jobs/{waiting}").json()
        assert (job["state"], job["attempt"]) == ("queued", 0)
        system.client.post(f"/v1/jobs/{waiting}/cancel")


def test_drain_during_a_load(tmp_path: Path) -> None:
    """A worker that is stopped while it loads a model hands back the jobs that wait for it, uncharged, and leaves."""
    with system_of(tmp_path, "one") as (system, catalogue):
        gate = catalogue.gated("two")
        system.start_gateway()
        process = system.start_worker(models="one,two", broker_lease_seconds="30")
        job = submit(system, "two")
        poll(lambda: states(system)["two"] == "loading", 10)
        poll(lambda: phases(system, "two") == {"loading": 1}, 10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        waiting = system.client.get(f"/v1/jobs/{job}").json()
        assert (waiting["state"], waiting["attempt"]) == ("queued", 0)
        gate.touch()
        system.start_worker("--model", "two")
        ended = system.wait(job)
        assert (ended["state"], ended["attempt"]) == ("succeeded", 1)


def test_load_longer_than_the_leases(tmp_path: Path) -> None:
    """Jobs that wait for a load longer than leases and sweeps stay with their worker, uncharged, and in one message."""
    with system_of(tmp_path, "one") as (system, catalogue):
        gate = catalogue.gated("two")
        system.start_gateway(sweep_seconds="2")
        system.start_worker(models="one,two", broker_lease_seconds="1", status_lease_seconds="3")
        jobs = [submit(system, "two", f"mug {number}") for number in range(2)]
        poll(lambda: states(system)["two"] == "loading", 10)
        poll(lambda: system.client.get("/v1/queue").json()["data"][1]["oldest_age_seconds"] > 9, 20)
        gate.touch()
        ended = [system.wait(job) for job in jobs]
        assert [(job["state"], job["attempt"]) for job in ended] == [("succeeded", 1)] * 2
        assert sorted(catalogue.made("two")) == sorted(jobs)
        assert "job without a message" not in system.log(), "the sweeper takes them for lost"


def test_studio_serves_all_that_is_installed(tmp_path: Path) -> None:
    """`studio` without options serves each model of the catalogue whose weights are here, and says so."""
    with system_of(tmp_path, "one", "two") as (system, catalogue):
        catalogue.add("absent", source="no-such-folder")
        system.start()
        system.wait_for_log("Studio is ready")
        for model in ("one", "two"):
            assert system.wait(submit(system, model))["state"] == "succeeded"
        poll(lambda: phases(system, "one") == phases(system, "two") == {"ready": 1}, 10)
        assert phases(system, "absent") == {}


def test_studio_for_named_models(tmp_path: Path) -> None:
    """`studio --model` serves these and no others, the first for requests that name none."""
    with system_of(tmp_path, "one", "two", "three") as (system, catalogue):
        system.start("--model", "three", "--model", "two")
        system.wait_for_log("Studio is ready")
        job = str(system.submit("mug")["id"])
        assert system.wait(job)["state"] == "succeeded"
        assert catalogue.made("three") == [job]
        assert phases(system, "one") == {}


REAL = """
[models.{name}]
title = "{name}"
modality = "txt2img"
adapter = "txt2img"
source = "{source}"
default = {default}
defaults = {{ width = 96, height = 96, steps = 2, guidance = 2.0 }}
"""


def test_same_seed_after_its_model_came_back(tmp_path: Path) -> None:
    """A seed gives the same bytes before and after its model was unloaded for another one of the same worker."""
    source = ROOT / "models" / "studio-tiny"
    entries = (REAL.format(name=name, source=source, default=default) for name, default in TWO_REAL)
    (tmp_path / "models.toml").write_text("".join(entries))
    with running_system(tmp_path, {}, tmp_path / "models.toml") as system:
        system.start_gateway()
        system.start_worker(models="one,two", model_memory="1MB")
        files = []
        for model in ("one", "two", "one", "two"):
            job = submit(system, model, "a red mug", seed=7)
            assert system.wait(job)["state"] == "succeeded"
            files.append(system.client.get(f"/v1/jobs/{job}/artifacts/0").content)
        assert system.log().count("model unloaded") == 3
    assert files[:2] == files[2:]
    assert len(files[0]) > 1000
