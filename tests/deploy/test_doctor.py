"""`just doctor` names faults with the commands that fix them, and says when everything is well."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.compose_files import ROOT, SECRETS

DOCKER = """#!/bin/sh
case "$*" in
    "version "*) echo 28.2.2 ;;
    "compose version --short") echo {compose} ;;
    "compose ps --quiet") echo {running} ;;
    *) exit 1 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a complete .env, on a machine without Docker."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "scripts" / "doctor.py", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    env = tmp_path / ".env"
    env.write_text("".join(f"{name}={value}\n" for name, value in {**SECRETS, "COMPOSE_PROFILES": "cpu"}.items()))
    env.chmod(0o600)
    return tmp_path


def _install_docker(checkout: Path, *, compose: str = "2.40.0", running: str = "") -> None:
    program = checkout / "bin" / "docker"
    program.write_text(DOCKER.format(compose=compose, running=running))
    program.chmod(0o755)


def _doctor(checkout: Path) -> tuple[int, dict[str, str]]:
    """Run the doctor and return its exit code and the line of each check, with the command that fixes a fault."""
    command = [sys.executable, str(checkout / "scripts" / "doctor.py")]
    environment = {"PATH": str(checkout / "bin")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    answers = done.stdout.replace("\n      mend it: ", " | ").splitlines()
    return done.returncode, {line.split()[1].rstrip(":"): line for line in answers}


def test_all_is_well(checkout: Path) -> None:
    """When every check passes and the system is up, every line is OK and the exit code is 0."""
    _install_docker(checkout, running="0123456789ab")
    code, lines = _doctor(checkout)
    failed = [line for line in lines.values() if not line.startswith("OK ") and "disk" not in line]
    assert (failed, code) == ([], 0 if lines["disk"].startswith("OK") else 1)


def test_no_engine(checkout: Path) -> None:
    """Without Docker the checks of the engine and of Compose fail, each with a command, and the exit code is 1."""
    code, lines = _doctor(checkout)
    assert code == 1
    assert lines["engine"] == "FAIL  engine: no Docker engine answers | curl -fsSL https://get.docker.com | sh"
    assert lines["compose"].endswith("| curl -fsSL https://get.docker.com | sh")


def test_old_compose(checkout: Path) -> None:
    """A version of Compose that is too old for the file is a failure."""
    _install_docker(checkout, compose="v2.19.1")
    assert _doctor(checkout)[1]["compose"].startswith("FAIL  compose: v2.19.1, and 2.24 is needed")


def _adding(line: str) -> Callable[[Path], object]:
    return lambda env: env.write_text(f"{env.read_text()}{line}\n")


@pytest.mark.parametrize(
    ("change", "fault", "mend"),
    [
        (lambda env: env.write_text("REDIS_PASSWORD=x\n"), "lacks RABBITMQ_PASSWORD", "just setup"),
        (lambda env: env.chmod(0o644), "others may read it", "chmod 600 .env"),
        (_adding("STUDIO_PROT=1"), "STUDIO_PROT", "sed -i.bak '/^STUDIO_PROT=/d' .env"),
        (_adding("STUDIO_JDK=1"), "STUDIO_FOREIGN_VARIABLES allows it", "sed -i.bak"),
        (_adding("COMPOSE_PROFILES=gpu"), "no NVIDIA driver", "nvidia-driver"),
    ],
)
def test_env(checkout: Path, change: Callable[[Path], object], fault: str, mend: str) -> None:
    """The doctor reports secrets that are missing or readable by others, misspelt settings and a missing GPU."""
    change(checkout / ".env")
    (failure,) = [line for line in _doctor(checkout)[1].values() if line.startswith("FAIL") and fault in line]
    assert mend in failure


@pytest.mark.parametrize(
    "lines", ["STUDIO_JDK=1\nSTUDIO_FOREIGN_VARIABLES=STUDIO_JDK", "STUDIO_PROT=", "GATEWAY_PORT="]
)
def test_env_with_nothing_wrong(checkout: Path, lines: str) -> None:
    """The doctor allows declared variables of other programs, and takes an empty value for none."""
    _adding(lines)(checkout / ".env")
    checks = _doctor(checkout)[1]
    assert checks["env"].startswith("OK")
    assert "8000" in checks["ports"]


def test_taken_port(checkout: Path) -> None:
    """A port on which another program listens is named."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        (checkout / ".env").write_text((checkout / ".env").read_text() + f"GATEWAY_PORT={port}\n")
        assert f"taken: {port}" in _doctor(checkout)[1]["ports"]
