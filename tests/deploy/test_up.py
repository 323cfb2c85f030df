"""The profiles that `just up` and `just up-gpu` start, with a fake docker that records its arguments."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.compose_files import ROOT

DOCKER = """#!/bin/sh
echo "${{COMPOSE_PROFILES:-}}: $*" >>{calls}
[ "$1" = info ] && echo '{runtimes}'
[ "$2" = port ] && echo 127.0.0.1:8000
exit 0
"""


@pytest.mark.parametrize(
    ("env", "arguments", "profiles", "removed"),
    [
        ("cpu,minio", [], "cpu,minio", "worker-gpu"),
        ("cpu,seaweedfs", ["--gpu"], "gpu,seaweedfs", "worker"),
        ("gpu,minio,observability", [], "gpu,minio,observability", "worker"),
        ("gpu,minio", ["--gpu"], "gpu,minio", "worker"),
        ('"cpu,seaweedfs"\r', [], "cpu,seaweedfs", "worker-gpu"),
        ("\nCOMPOSE_PROFILES='gpu,minio'", [], "gpu,minio", "worker"),
    ],
)
def test_profiles(tmp_path: Path, env: str, arguments: list[str], profiles: str, removed: str) -> None:
    """`up` starts the profiles in .env, `up-gpu` those with the GPU worker instead; the other worker is stopped."""
    done, calls = _up(tmp_path, env, arguments, runtimes='{"nvidia": {}}')
    assert done.returncode == 0
    assert done.stdout == "Studio is ready: http://127.0.0.1:8000\n"
    assert f"{profiles}: compose up --detach --wait --build" in calls
    assert calls[-2].endswith(f" rm --stop --force {removed}")


def test_published_images(tmp_path: Path) -> None:
    """With IMAGE_PREFIX in .env the images are pulled from there, not built."""
    _, calls = _up(tmp_path, "cpu,minio\nIMAGE_PREFIX=registry.example.com/studio", [], runtimes="")
    assert "cpu,minio: compose up --detach --wait --no-build" in calls


def test_no_gpu(tmp_path: Path) -> None:
    """Without a GPU in Docker `up-gpu` says so and does not start the system."""
    done, calls = _up(tmp_path, "cpu,minio", ["--gpu"], runtimes='{"runc": {}}')
    assert done.returncode == 1
    assert "just doctor" in done.stderr
    assert not any(" up " in call for call in calls)


def _up(
    checkout: Path, profiles: str, arguments: list[str], *, runtimes: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    (checkout / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "up.sh", checkout / "scripts")
    (checkout / ".env").write_text(f"REDIS_PASSWORD=cpu\nCOMPOSE_PROFILES={profiles}\n")
    docker = checkout / "docker"
    calls = checkout / "calls.txt"
    docker.write_text(DOCKER.format(calls=calls, runtimes=runtimes))
    docker.chmod(0o755)
    environment = {"PATH": f"{checkout}:/usr/bin:/bin"}
    command = [script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    return done, calls.read_text().splitlines()
