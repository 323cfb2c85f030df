"""The images of the Dockerfiles and the services of compose.yaml, on a real container engine."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.containers.composition import OURS, Composition, running_composition

pytestmark = [pytest.mark.containers, pytest.mark.timeout(2400)]

# What k8s/ requests, which is more than a node may take away.
MEMORY_BYTES: Final = {"gateway": 256 * 1024**2, "worker": 2 * 1024**3}
# The engine makes an empty file for everything that it mounts: `init: true`, and the configs of compose.yaml.
MOUNTED: Final = ("/sbin/docker-init", "/usr/sbin/docker-init", "/etc/rabbitmq/conf.d", "/etc/rabbitmq/definitions.d")


@pytest.fixture(scope="module")
def composition() -> Iterator[Composition]:
    with running_composition() as running:
        yield running


def photographed(composition: Composition, jobs: list[str]) -> list[int]:
    """Check that each job ends with a photo that can be fetched, and return their attempts."""
    results = composition.results(jobs)
    assert {job["state"] for job in results} == {"succeeded"}, [(job["state"], job["error"]) for job in results]
    assert all(composition.photo(job).startswith(b"\x89PNG") for job in results)
    return [job["attempt"] for job in results]


def mounted(path: str) -> bool:
    """True if the path is a mount point, is below one, or is a folder above one."""
    return any(path.startswith(each) or each.startswith(f"{path}/") for each in MOUNTED)


def test_kill(composition: Composition) -> None:
    """No job is lost when worker and broker are killed together under load."""
    jobs = composition.submit(24)
    composition.until_one_succeeded(jobs)
    composition.compose("kill", "worker", "rabbitmq")
    print(f"healthy {composition.up():.0f} s after the kill")
    jobs += composition.submit(3)
    attempts = photographed(composition, jobs)
    print(f"{len(jobs)} of {len(jobs)} jobs succeeded over the kill, {sum(attempts) - len(jobs)} attempts were charged")


def test_restart(composition: Composition) -> None:
    """No job is lost when every container is restarted under load, and finished jobs are still known."""
    before = composition.submit(3)
    photographed(composition, before)
    jobs = composition.submit(12)
    composition.compose("restart")
    composition.up()
    photographed(composition, before + jobs)
    print(f"{len(jobs)} of {len(jobs)} jobs succeeded over the restart")


def test_stop(composition: Composition) -> None:
    """A stop under load ends gateway and worker with exit code 0, and charges no job an attempt."""
    jobs = composition.submit(24)
    composition.until_one_succeeded(jobs)
    composition.compose("stop", *OURS)
    assert composition.exit_codes() == dict.fromkeys(OURS, 0)
    composition.up()
    assert set(photographed(composition, jobs)) == {1}
    composition.compose("stop")
    codes = composition.exit_codes()
    print(f"exit codes after a stop of all: {codes}")
    assert {name: codes[name] for name in OURS} == dict.fromkeys(OURS, 0)
    composition.up()


def test_memory(composition: Composition) -> None:
    """Gateway and worker use less memory after jobs than they request on Kubernetes."""
    photographed(composition, composition.submit(8))
    used = composition.memory_bytes()
    print("memory: " + ", ".join(f"{name} {amount / 1e6:.0f} MB" for name, amount in sorted(used.items())))
    assert {name: amount for name, amount in MEMORY_BYTES.items() if used[name] > amount} == {}


def test_files(composition: Composition) -> None:
    """No container writes a file outside its volumes."""
    photographed(composition, composition.submit(1))
    written = {name: [path for path in changed if not mounted(path)] for name, changed in composition.changes().items()}
    assert {name: paths for name, paths in written.items() if paths} == {}
