"""The command line beside terminals, pipes and service managers of all kinds."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.tables import job_table, print_table

STUDIO = f"{sys.executable} -m services"
JOB_ID = "01a22fb2-f09e-7581-a5cc-ce65486bcb75"
WORDS = "a mug " * 60


def _shell(command: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with the exit code of `studio`, not that of the last program of a pipe."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "PYTHONUNBUFFERED"))}
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.replace('studio', STUDIO)}"],
        env={**kept, "STUDIO_DATA_DIR": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("studio keys new | true", 1, ""),
        ("studio keys new >/dev/full", 1, "standard output could not be written: No space left on device\n"),
        ("studio keys new <&- >&- 2>&-", 0, ""),
        ("studio generate mug -o - >&-", 2, "standard output is closed: name a file with -o\n"),
        ("COLUMNS=0 studio fetch x -o nowhere/x.png", 2, "there is no folder nowhere"),
    ],
)
def test_streams_that_take_nothing(tmp_path: Path, command: str, code: int, said: str) -> None:
    """A reader that leaves, a full disk and closed streams end a command in at most a sentence."""
    found = _shell(command, tmp_path)
    assert (found.returncode, found.stdout) == (code, "")
    assert said in found.stderr
    assert len(found.stderr.splitlines()) == bool(said), found.stderr


def test_reader_that_takes_one_line(tmp_path: Path) -> None:
    """What a reader of one line leaves is lost without a word."""
    found = _shell("studio models --help | head -1", tmp_path, COLUMNS="0")
    assert (found.returncode in (0, 1), found.stderr) == (True, "")


@pytest.mark.parametrize("columns", ["0", "1", "40", "200", "-5", "wide"])
def test_tables_lose_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str) -> None:
    """However narrow the terminal is said to be, ids are on one line and no word is cut off."""
    monkeypatch.setenv("COLUMNS", columns)
    job = {"id": JOB_ID, "state": "succeeded", "model": "m" * 63, "params": {"prompt": WORDS}}
    print_table(job_table([{**job, "created_at": "2026-01-01T00:00:00Z"}]))
    printed = capsys.readouterr().out
    assert JOB_ID in printed
    assert "…" not in printed
    assert printed.count("mug") == 60
    assert printed.count("m") == 63 + 60 + printed.count("model") + printed.count("made")


@pytest.mark.parametrize(
    ("environ", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colors_of_a_terminal(tmp_path: Path, environ: dict[str, str], colored: bool) -> None:
    """A terminal gets colors unless NO_COLOR or its kind says no."""
    ours, theirs = pty.openpty()
    program = (
        "from services.common.telemetry.logging import configure_logging;"
        "import structlog; from services.cli.exits import leave;"
        "configure_logging(); structlog.get_logger().warning('seen'); leave(3, 'said')"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "TERM": "xterm", **environ},
        stderr=theirs,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    printed = os.read(ours, 10_000)
    os.close(ours)
    assert b"seen" in printed
    assert b"said" in printed
    assert (b"\x1b[" in printed) is colored, printed
