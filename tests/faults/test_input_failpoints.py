"""kill -9 between the writes of a job that is made from a file: no job is lost, and no file stays that no job needs."""

import base64
import signal
import subprocess
from itertools import product

import httpx2
import pytest

from tests.support.models.scripted_adapter import pixels_of
from tests.support.models.scripted_edit_adapter import edited_pixels, offer_edits
from tests.support.operator import on_backends
from tests.support.picture_files import encoded, picture
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]

PNG = encoded(picture())
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture
def editor(system: System) -> System:
    """A system whose model takes a picture."""
    offer_edits(system)
    return system


def _died_there(process: subprocess.Popen[bytes]) -> None:
    assert process.wait(timeout=60) == -signal.SIGKILL


def _input_keys(system: System) -> set[str]:
    return set(on_backends(system, lambda backends: backends.objects.list("inputs/")))


def _check(system: System, job_id: str, prompt: str, seed: int, attempts: int) -> None:
    job = system.wait(job_id)
    assert (job["state"], job["attempt"]) == ("succeeded", attempts), job
    sha256 = system.client.get(f"/v1/inputs/{job['params']['image']}").json()["sha256"]
    assert pixels_of(system.client.get(job["artifacts"][0]["url"]).content) == edited_pixels(prompt, seed, sha256)


# A job that names an id writes no file.
@pytest.mark.parametrize(
    ("failpoint", "given"),
    [
        ("gateway.filed", "data URL"),
        *product(("gateway.given", "gateway.created", "gateway.published"), ("id", "data URL")),
    ],
)
def test_gateway_killed(editor: System, failpoint: str, given: str) -> None:
    """A gateway killed between input, record and message leaves no half job: a repeat makes it, once."""
    first = editor.start_gateway()
    image = URL if given == "data URL" else editor.client.post("/v1/inputs", content=PNG, timeout=30).json()["id"]
    first.kill()
    first.wait()
    gateway = editor.start_gateway(failpoint=failpoint)
    with pytest.raises(httpx2.TransportError):
        editor.submit("mug", key="once", seed=4, image=image)
    _died_there(gateway)
    editor.start_gateway()
    editor.start_worker()

    job = editor.submit("mug", key="once", seed=4, image=image)
    _check(editor, job["id"], "mug", 4, attempts=1)
    assert editor.generation_counts() == {job["id"]: 1}
    jobs = editor.client.get("/v1/jobs").json()["data"]
    assert [each["id"] for each in jobs] == [job["id"]]


def test_gateway_killed_while_a_file_comes_in(editor: System) -> None:
    """A file without a record is no input: it answers 404, and sending it again makes one."""
    before = _input_keys(editor)
    gateway = editor.start_gateway(failpoint="gateway.filed")
    with pytest.raises(httpx2.TransportError):
        editor.client.post("/v1/inputs", content=PNG, timeout=30)
    _died_there(gateway)
    editor.start_gateway()

    [left] = _input_keys(editor) - before
    assert editor.client.get(f"/v1/inputs/{left.rpartition('/')[2].partition('.')[0]}").status_code == 404
    assert editor.client.post("/v1/inputs", content=PNG, timeout=30).status_code == 201


@pytest.mark.parametrize("failpoint", ["worker.begun", "worker.fetched", "worker.generated", "worker.stored"])
def test_worker_killed(editor: System, failpoint: str) -> None:
    """A worker killed with a file in hand costs an attempt, and the next one fetches the file again."""
    editor.start_gateway()
    view = editor.client.post("/v1/inputs", content=PNG, timeout=30).json()
    job = editor.submit("mug", seed=6, image=view["id"])
    _died_there(editor.start("worker", prefetch="1", failpoint=failpoint))
    editor.start_worker()

    _check(editor, job["id"], "mug", 6, attempts=2)
