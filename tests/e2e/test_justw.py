"""`./justw demo`, stopped as a person or a service manager stops it: by a signal to the process that was started."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.support.system import ROOT, System, running_system


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path, {}) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the commands and the .venv of this checkout, nothing left to install, and modules of others."""
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "install.sh").touch()
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("justw", "justfile"):
        shutil.copy(ROOT / name, folder)
    for name in ("queue.py", "asyncio.py"):
        (folder / name).write_text(f"open({str(folder / 'ran.txt')!r}, 'a').write({name!r})\n")
    return folder


@contextmanager
def _demo(checkout: Path, system: System) -> Iterator[subprocess.Popen[bytes]]:
    """`./justw demo` in a process group of its own, of which no process is left afterwards."""
    with (system.folder / "log.txt").open("ab") as log:
        demo = subprocess.Popen(
            [checkout / "justw", "demo"], env=system.environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield demo
        finally:
            with suppress(ProcessLookupError):
                os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()


def test_terminated_demo_leaves_no_process(checkout: Path, system: System) -> None:
    """SIGTERM to the process of `./justw demo` stops the gateway and its worker; no module of the folder is run."""
    with _demo(checkout, system) as demo:
        system.wait_until_ready(f"{system.url}/livez", demo)
        assert system.wait(system.submit("red cup")["id"])["state"] == "succeeded"
        gateway_and_worker = psutil.Process(demo.pid).children(recursive=True)
        assert len(gateway_and_worker) >= 2
        assert not (checkout / "ran.txt").exists()

        demo.terminate()

        demo.wait(timeout=30)
        assert psutil.wait_procs(gateway_and_worker, timeout=10)[1] == []
