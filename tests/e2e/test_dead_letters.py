"""`studio dead` shows, replays and drops the dead letters of a real worker."""

import json
import signal
import subprocess
import sys
from typing import Any

from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]


def _dead(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services", "dead", *arguments]
    return subprocess.run(
        command, cwd=system.folder, env=system.environment, capture_output=True, text=True, timeout=60, check=False
    )


def _letters_of(system: System, job_id: str) -> list[dict[str, Any]]:
    listed = _dead(system, "list", "--json", "--limit", "10000")
    assert listed.returncode == 0, listed.stderr
    return [letter for letter in json.loads(listed.stdout) if letter["job_id"] == job_id]


def test_poison_job_is_replayed_and_dropped(system: System) -> None:
    """A poison job has one dead letter; replayed it becomes a new job, which is poison as well; then it is dropped."""
    system.environment["STUDIO_MAX_ATTEMPTS"] = "1"
    gateway = system.start_gateway()
    poison = system.submit("KILL the worker")
    assert system.start("worker").wait(timeout=60) == -signal.SIGKILL
    worker = system.start_worker()
    assert system.wait(poison["id"])["error"]["code"] == "poison"
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)
    gateway.kill()

    [letter] = _letters_of(system, poison["id"])
    shown = json.loads(_dead(system, "show", letter["message_id"]).stdout)
    table = _dead(system, "list").stdout
    replayed = _dead(system, "replay", letter["message_id"])

    assert (shown["letter"], shown["job"]["error"]["code"]) == (letter, "poison")
    assert json.loads(shown["body"])["params"]["prompt"] == "KILL the worker"
    assert "Dead letters" in table
    assert replayed.stdout.startswith("resubmitted as ")
    assert _letters_of(system, poison["id"]) == []
    system.start_gateway()
    new = system.client.get(f"/v1/jobs/{replayed.stdout.split()[-1]}").json()
    assert (new["state"], new["params"]) == ("queued", shown["job"]["params"])
    assert system.start("worker").wait(timeout=60) == -signal.SIGKILL
    system.start_worker()
    assert system.wait(new["id"])["error"]["code"] == "poison"
    [letter] = _letters_of(system, new["id"])
    assert _dead(system, "drop", letter["message_id"]).stdout == "dropped\n"
    again = _dead(system, "drop", letter["message_id"])
    assert (again.returncode, again.stderr) == (2, f"no dead letter {letter['message_id']}\n")
