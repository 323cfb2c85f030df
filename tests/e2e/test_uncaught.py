"""Faults that Python reports by itself, in processes of the real command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-7f3a9c21"
URL = f"amqp://studio:{CANARY}@rabbit/"

# `studio api` with this coroutine in place of the gateway.
PROGRAM = """
import asyncio, atexit, gc, logging, sys, threading, warnings
import services.cli.serve.gateway
from services.__main__ import main

class Broken:
    def __del__(self):
        raise RuntimeError("{url}")

class BrokenText:
    def __str__(self):
        raise RuntimeError("{url}")

def fail():
    raise RuntimeError("{url}")

async def fails():
    fail()

async def waits(loop):
    try:
        await loop.create_future()
    finally:
        loop.call_soon(print)

async def run_gateway(settings, catalogue):
    {fault}

services.cli.serve.gateway.run_gateway = run_gateway
sys.argv = ["studio", "api"]
main()
"""

FAULTS = {
    "uncaught": "fail()",
    "thread": "thread = threading.Thread(target=fail); thread.start(); thread.join()",
    "destructor": "Broken()",
    "exit handler": "atexit.register(fail)",
    "task": "task = asyncio.create_task(fails()); await asyncio.sleep(0.01); del task; gc.collect()",
    "task at the end": "asyncio.get_running_loop().kept = asyncio.create_task(fails())",
    "callback": "asyncio.get_running_loop().call_soon(fail); await asyncio.sleep(0.01)",
    "warning": "warnings.warn('{url}')",
    "never awaited": "fails(); gc.collect()",
    "record with wrong arguments": "logging.getLogger('library').warning('%d', '{url}')",
    "record without text": "logging.getLogger('library').warning('%s', BrokenText())",
    "record after the end": "atexit.register(logging.getLogger('library').warning, '{url}')",
}
LATE_FAULTS = {
    "destructor at the end": "sys.kept = Broken()",
    "coroutine at the end": "sys.kept = waits(asyncio.get_running_loop()); sys.kept.send(None)",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_are_logged(fault: str, tmp_path: Path) -> None:
    """A fault that no code of ours catches is one line of JSON on standard error, without its secrets."""
    done = _run(PROGRAM.replace("{fault}", fault).replace("{url}", URL), tmp_path, STUDIO_LOG_FORMAT="json")

    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert records
    assert all(isinstance(record, dict) for record in records)
    assert CANARY not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("fault", LATE_FAULTS.values(), ids=LATE_FAULTS)
def test_late_faults_are_not_printed(fault: str, tmp_path: Path) -> None:
    """A fault that comes when Python has taken the log apart is printed by nothing else."""
    done = _run(PROGRAM.replace("{fault}", fault).replace("{url}", URL), tmp_path, STUDIO_LOG_FORMAT="json")

    assert done.returncode == 0
    assert all(isinstance(json.loads(line), dict) for line in done.stderr.splitlines())


def test_console_faults_keep_their_secrets(tmp_path: Path) -> None:
    """On a terminal a fault is shown with its traceback, and without its secrets."""
    done = _run(PROGRAM.replace("{fault}", "fail()").replace("{url}", URL), tmp_path, STUDIO_LOG_FORMAT="console")

    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert CANARY not in done.stderr


@pytest.mark.parametrize("wrong", [{"STUDIO_PROT": "1"}, {"STUDIO_PORT": "x"}, {"STUDIO_CATALOGUE": "missing.toml"}])
def test_faults_of_settings_are_sentences(wrong: dict[str, str], tmp_path: Path) -> None:
    """A fault of the settings is told in plain words, since they would say how to log it; the exit code is 2."""
    done = _run("from services.__main__ import main; main()", tmp_path, STUDIO_LOG_FORMAT="json", **wrong)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def _run(program: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
