"""The losses of a job on their way from the model to the client, through real processes."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common.manifests import Manifests
from tests.support.models.tiny_pipeline import build_pipeline
from tests.support.operator import on_backends, studio
from tests.support.system import ROOT, System, running_system

pytest_plugins = ["tests.support.system_fixtures"]

CATALOGUE = """
[models.tiny]
title = "Tiny"
modality = "txt2img"
adapter = "txt2img"
source = "{source}"
default = true
defaults = {{ width = 64, height = 64, steps = 1, guidance = 4.0 }}
"""


def _codes(job: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in job["warnings"]]


def test_one_of_several_is_filtered(system: System) -> None:
    """A job succeeds with the outputs that were not filtered, and tells which one is missing, in its manifest as well.

    The others keep their number and seed.
    """
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("SOME mugs", num_images=3, seed=7)["id"])

    assert job["state"] == "succeeded"
    assert [(each["index"], each["seed"]) for each in job["artifacts"]] == [(1, 8), (2, 9)]
    assert _codes(job) == ["parameter-unused", "outputs-filtered"]
    assert "1 of 3, number 1 (seed 7)" in job["warnings"][1]["message"]
    assert system.client.get(f"/v1/jobs/{job['id']}/artifacts/0").status_code == 404
    assert system.client.get(job["artifacts"][0]["url"]).status_code == 200
    stored = on_backends(system, lambda backends: Manifests(backends.objects).read(job["id"]))
    assert stored is not None
    assert [warning.code for warning in stored.warnings] == _codes(job)


@pytest.mark.parametrize("count", [1, 3])
def test_all_are_filtered(system: System, count: int) -> None:
    """A job fails as filtered, with nothing stored, if every output was; asking for the same again is no help."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("NSFW mug", num_images=count)["id"])

    assert (job["state"], job["artifacts"]) == ("failed", [])
    assert (job["error"]["code"], job["error"]["retryable"]) == ("filtered", False)
    assert system.wait(system.submit("blue mug")["id"])["state"] == "succeeded"


@pytest.mark.parametrize("failpoint", ["worker.generated", "worker.stored", "worker.finished"])
def test_warnings_outlive_a_worker(system: System, failpoint: str) -> None:
    """A job whose worker is killed has each of its warnings once, whichever worker ends it."""
    system.start_gateway()
    dying = system.start_worker(failpoint=failpoint)
    job_id = system.submit("SOME mugs", num_images=2)["id"]
    assert dying.wait(timeout=60) == -signal.SIGKILL
    system.start_worker()

    assert _codes(system.wait(job_id)) == ["parameter-unused", "outputs-filtered"]


def test_size_that_the_model_does_not_make(system: System) -> None:
    """An image of another size than the one asked for is told of, with both sizes."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("red mug", width=128, height=96)["id"])

    assert _codes(job) == ["size-changed"]
    assert "128 x 96" in job["warnings"][0]["message"]
    assert "64 x 64" in job["warnings"][0]["message"]


def test_command_line_tells_warnings(tmp_path: Path) -> None:
    """`studio generate` writes the images there are under their numbers, and warnings to standard error and JSON."""
    with running_system(tmp_path, {}) as system:
        system.start_gateway()
        system.start_worker()
        plain = studio(system, "generate", "SOME mugs", "--count", "2", "-o", "mugs.png")
        as_json = studio(system, "generate", "SOME mugs", "--count", "2", "-o", "more.png", "--json")
        failed = studio(system, "generate", "NSFW mug", "-o", "none.png")
        report = studio(system, "job", json.loads(as_json.stdout)["id"])

    assert (plain.returncode, plain.stdout) == (0, "mugs-2.png\n"), plain.stderr
    assert "warning: " in plain.stderr
    assert "(outputs-filtered)" in plain.stderr
    assert _codes(json.loads(as_json.stdout)) == ["parameter-unused", "outputs-filtered"]
    assert (failed.returncode, "safety checker" in failed.stderr) == (1, True)
    assert "outputs-filtered" in report.stdout


def test_real_checker(tmp_path: Path) -> None:
    """The black image of a diffusers safety checker fails its job, and is never shown."""
    build_pipeline(tmp_path / "tiny", withholding=True)
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(CATALOGUE.format(source=tmp_path / "tiny"))
    with running_system(tmp_path, {}, catalogue) as system:
        system.start_gateway()
        system.start_worker()
        job = system.wait(system.submit("mug")["id"])
    assert (job["state"], job["error"]["code"], job["artifacts"]) == ("failed", "filtered", [])


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("shipped"), {}, ROOT / "models" / "models.toml") as system:
        system.start_gateway()
        system.start_worker()
        yield system


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"style": "neon-tech", "prompt": "red mug " * 60}, "prompt-cut", "red mug"),
        ({"prompt": "a small orange teapot, " * 20}, "prompt-cut", "orange teapot"),
        ({"prompt": "red mug", "negative_prompt": "cats", "guidance": 1}, "negative-prompt-unused", "above 1"),
        ({"prompt": "vase", "negative_prompt": "dust " * 150}, "negative-prompt-cut", "dust"),
        ({"prompt": "vase", "style": "macro", "guidance": 0}, "negative-prompt-unused", "look"),
    ],
)
def test_shipped_model_tells(shipped: System, asked: dict[str, Any], code: str, told: str) -> None:
    """The model that ships tells what it cut and what it did not use."""
    prompt, others = asked["prompt"], {name: value for name, value in asked.items() if name != "prompt"}
    job = shipped.wait(shipped.submit(prompt, **others)["id"])
    assert job["state"] == "succeeded"
    ((found, message),) = [(each["code"], each["message"]) for each in job["warnings"]]
    assert found == code
    assert told in message


def test_shipped_model_is_quiet(shipped: System) -> None:
    """An ordinary request has no warnings."""
    asked: dict[str, Any] = {"style": "dark-luxury", "negative_prompt": "dust", "guidance": 2.5, "steps": 4}
    assert shipped.wait(shipped.submit("red mug", **asked)["id"])["warnings"] == []
