"""`studio health`, which containers ask instead of curl: it must say yes and, above all, no."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.system import System, running_system


def _ask(system: System, service: str, **environment: str) -> int:
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
    """0 while the gateway is ready, also when it listens on every address; 1 when it hangs and when it is gone."""
    with running_system(tmp_path, {}) as system:
        gateway = system.start_gateway(host="0.0.0.0", allow_anonymous="true")
        assert _ask(system, "gateway", STUDIO_HOST="0.0.0.0") == 0
        gateway.send_signal(signal.SIGSTOP)
        assert _ask(system, "gateway") == 1
        gateway.kill()
        gateway.wait()
        assert _ask(system, "gateway") == 1


def test_worker(tmp_path: Path) -> None:
    """0 while the worker consumes, 1 when it is gone, 2 where it has no port to be asked on."""
    with running_system(tmp_path, {}) as system:
        worker = system.start_worker()
        port = system.worker_url.rpartition(":")[2]
        assert _ask(system, "worker", STUDIO_WORKER_PORT=port) == 0
        assert _ask(system, "worker") == 2
        worker.kill()
        worker.wait()
        assert _ask(system, "worker", STUDIO_WORKER_PORT=port) == 1


def test_not_ready(tmp_path: Path) -> None:
    """A gateway whose object store is not there answers, and is not ready: 1."""
    with running_system(tmp_path, {}) as system:
        system.start_gateway()
        (tmp_path / "objects").rename(tmp_path / "gone")
        (tmp_path / "objects").write_text("not a folder")
        assert system.client.get("/readyz").status_code == 503
        assert _ask(system, "gateway") == 1
