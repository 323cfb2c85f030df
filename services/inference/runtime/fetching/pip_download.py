"""Downloads a wheel by pip, so that a person's own settings of pip hold: index, mirror, proxy, certificates."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

DEADLINE_SECONDS: Final = 3600.0  # of a whole download; pip's own deadlines are those of a single read
_PROGRESS: Final = re.compile(r"Progress (\d+) of (\d+)")
_TRACEBACK: Final = "ERROR: Exception:"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
_WITH_PROGRESS: Final = (24, 1)  # the first pip that tells its progress in numbers
_NO_PIP: Final = (
    "pip is not installed for {python}, and it is what downloads packages: run `uv pip install pip` or "
    "`{python} -m ensurepip`"
)

Tell = Callable[[int, int], object]  # the bytes that are here, and all; not called by a pip that counts none


class NotDownloaded(Exception):
    """Raised with what pip said."""


def download_wheel(requirement: str, folder: Path, tell: Tell) -> Path:
    """Return the wheel of `requirement`, NAME==VERSION, in `folder`, which must be empty. No code of it is run.

    Raise NotDownloaded. If this process is killed, pip ends as well, at its next sign of progress: the pipe is broken.
    """
    wheels = folder / "wheel"
    command = [*_pip(), "--dest", str(wheels), requirement]
    said: list[str] = []
    with _started(command, folder) as process:
        for line in process.stdout or ():
            if told := _PROGRESS.match(line):
                tell(int(told[1]), int(told[2]))
            elif line.strip():
                said.append(line.strip())
    found = sorted(wheels.glob("*.whl"))
    if process.returncode or not found:
        raise NotDownloaded(_reason(process.returncode, said))
    return found[0]


def _pip() -> list[str]:
    try:
        numbers = _VERSION.match(version("pip"))
    except PackageNotFoundError:
        raise NotDownloaded(_NO_PIP.format(python=sys.executable)) from None
    tells = numbers is None or (int(numbers[1]), int(numbers[2])) >= _WITH_PROGRESS
    # -P: the folder that this was started in may hold a module `pip`.
    options = ("--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir")
    return [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        *options,
        f"--progress-bar={'raw' if tells else 'off'}",
    ]


@contextmanager
def _started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start pip; it ends with the block, and after the deadline. Its temporary files lie in `folder`."""
    with subprocess.Popen(  # noqa: S603 - of a fixed command; a requirement is one name and one version
        command,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        deadline = threading.Timer(DEADLINE_SECONDS, process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            yield process
            process.wait()
        finally:
            deadline.cancel()
            process.kill()


def _reason(code: int, said: list[str]) -> str:
    """Return the first error that pip tells, which names the cause; else its last line, as of a traceback."""
    if code < 0:
        return f"pip was ended by signal {-code} (it has {DEADLINE_SECONDS:.0f} s)"
    told = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ") and line != _TRACEBACK]
    return (told or said[-1:] or [f"pip left with exit code {code}"])[0].rstrip(".")
