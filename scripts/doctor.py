"""`just doctor` checks that this machine is ready for `just up`. Each FAIL comes with the command that mends it.

It needs only Python, since it runs when things do not work.
"""

from __future__ import annotations  # python3 may be older than the Python of .venv

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = (2, 24)
DISK_BYTES = 20 * 10**9  # for the images, and the weights of one real model
PORTS = {"minio": (9001,), "observability": (9090, 3000)}  # ports of consoles, by profile
SECRETS = (
    "RABBITMQ_PASSWORD",
    "REDIS_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "GATEWAY_SECRET",
    "GRAFANA_PASSWORD",
)
SECONDS = 20
INSTALL_DOCKER = "curl -fsSL https://get.docker.com | sh"  # includes Compose, which Debian 12's own packages lack


class Failure(Exception):
    """A check failed: the message says what is wrong, `mend` is the command that mends it."""

    def __init__(self, fault: str, mend: str) -> None:
        super().__init__(fault)
        self.mend = mend


def main() -> int:
    failed = 0
    for check in (engine, compose, env, ports, disk, gpu):
        try:
            print(f"OK    {check.__name__}: {check()}")
        except Failure as fault:
            failed += 1
            print(f"FAIL  {check.__name__}: {fault}\n      mend it: {fault.mend}")
    return 1 if failed else 0


def engine() -> str:
    version = _output("docker", "version", "--format", "{{.Server.Version}}")
    if version is None:
        mend = "sudo systemctl start docker" if shutil.which("docker") else INSTALL_DOCKER
        raise Failure("no Docker engine answers", mend)
    return version


def compose() -> str:
    version = _output("docker", "compose", "version", "--short")
    if version is None:
        raise Failure("there is no `docker compose`", INSTALL_DOCKER)
    if tuple(int(part) for part in version.lstrip("v").split(".")[:2]) < COMPOSE:
        raise Failure(f"{version}, and 2.24 is needed", INSTALL_DOCKER)
    return version


def env() -> str:
    file = ROOT / ".env"
    given = _env(file)
    missing = [name for name in SECRETS if not given.get(name)]
    if missing:
        raise Failure(f".env lacks {', '.join(missing)}", "just setup")
    if file.stat().st_mode & 0o077:
        raise Failure(".env holds secrets and others may read it", "chmod 600 .env")
    example = (ROOT / ".env.example").read_text()
    foreign = given.get("STUDIO_FOREIGN_VARIABLES", "").replace(",", " ").split()
    ours = [name for name, value in given.items() if name.startswith("STUDIO_") and value and name not in foreign]
    unknown = [name for name in ours if f"# {name}=" not in example]
    if unknown:
        names = ", ".join(unknown)
        fault = f".env names no setting of ours: {names} (of another program? STUDIO_FOREIGN_VARIABLES allows it)"
        raise Failure(fault, f"sed -i.bak '/^{unknown[0]}=/d' .env")
    return f"{len(given)} variables"


def ports() -> str:
    """Check that every port is free, or taken by this project."""
    if _output("docker", "compose", "ps", "--quiet"):
        return "in use by this project, which is up"
    given = _env(ROOT / ".env")
    profiles = given.get("COMPOSE_PROFILES", "").split(",")
    wanted = [int(given.get("GATEWAY_PORT") or "8000"), 15672]
    wanted += [port for profile, own in PORTS.items() if profile in profiles for port in own]
    taken = [port for port in wanted if _taken(port)]
    if taken:
        raise Failure(f"taken: {', '.join(map(str, taken))}", f"ss -ltnp 'sport = :{taken[0]}', and stop what it names")
    return f"{', '.join(map(str, wanted))} are free"


def disk() -> str:
    free = shutil.disk_usage(ROOT).free
    if free < DISK_BYTES:
        raise Failure(f"{free / 1e9:.0f} GB free, images and weights take up to 20", "docker system prune")
    return f"{free / 1e9:.0f} GB free"


def gpu() -> str:
    """Check that a container can have a GPU, where .env names the profile `gpu`."""
    profiles = os.environ.get("COMPOSE_PROFILES") or _env(ROOT / ".env").get("COMPOSE_PROFILES", "")
    if "gpu" not in profiles.split(","):
        return "not asked for in COMPOSE_PROFILES"
    if _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") is None:
        raise Failure("no NVIDIA driver answers", "apt-get install nvidia-driver, and reboot")
    runtimes = _output("docker", "info", "--format", "{{json .Runtimes}}")
    if "nvidia" not in json.loads(runtimes or "{}"):
        raise Failure(
            "Docker cannot give a GPU to a container",
            "sudo nvidia-ctk runtime configure && sudo systemctl restart docker",
        )
    return "a container can have one"


def _output(*command: str) -> str | None:
    """Return what the command printed, or None if it is not installed, failed or timed out."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _env(file: Path) -> dict[str, str]:
    lines = file.read_text("utf-8-sig").splitlines() if file.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
