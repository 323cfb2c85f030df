"""`studio health`, the health command of containers, exits with 0 for a healthy service and only for it."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.system import System, running_system


def _health(system: System, service: str, **environment: str) -> int:
    command = [sys.executable, "-m", "services", "health", service]
    done = subprocess.run(
        command,
        cwd=system.folder,
        env={**system.environment, **environment},
        capture_output=True,
        timeout=20,
        check=False,
    )
    return done.returncode


def test_gateway(tmp_path: Path) -> None:
    """The command exits with 0 while the gateway is ready, on any address, and with 1 when it hangs or is gone."""
    with running_system(tmp_path, {}) as system:
        gateway = system.start_gateway(host="0.0.0.0", allow_anonymous="true")
        assert _health(system, "gateway", STUDIO_HOST="0.0.0.0") == 0
        gateway.send_signal(signal.SIGSTOP)
        assert _health(system, "gateway") == 1
        gateway.kill()
        gateway.wait()
        assert _health(system, "gateway") == 1


def test_worker(tmp_path: Path) -> None:
    """The command exits with 0 while the worker consumes, 1 when it is gone, and 2 if no port is configured."""
    with running_system(tmp_path, {}) as system:
        worker = system.start_worker()
        port = system.worker_url.rpartition(":")[2]
        assert _health(system, "worker", STUDIO_WORKER_PORT=port) == 0
        assert _health(system, "worker") == 2
        worker.kill()
        worker.wait()
        assert _health(system, "worker", STUDIO_WORKER_PORT=port) == 1


def test_not_ready(tmp_path: Path) -> None:
    """The command exits with 1 for a gateway that answers but misses its object store."""
    with running_system(tmp_path, {}) as system:
        system.start_gateway()
        (tmp_path / "objects").rename(tmp_path / "gone")
        (tmp_path / "objects").write_text("not a folder")
        assert system.client.get("/readyz").status_code == 503
        assert _health(system, "gateway") == 1
