"""`python -m benchmarks.timed_adapter MODELS OFF`: makes calls of one adapter and says how long they take.

`OFF` is the name of a change that it leaves out, or empty. It makes all others, also those that an entry asks for. For
every line on standard input, a JSON list of a number of images and their parameters, it prints the seconds of a call
for them.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.rig import CORES, BarePipeline
from benchmarks.subject import Subject
from services.inference.diffusers.changes import PIPELINE
from tests.support.system import ROOT


class TimedAdapter:
    """The process, from outside."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def seconds(self, count: int, given: Mapping[str, int]) -> float:
        """Return the seconds of a call for `count` images."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([count, dict(given)]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with {self._process.wait()}")
        return float(line)

    def megabytes(self) -> float:
        """Return the memory that the process has now."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20


@contextmanager
def timed(models: Path, off: str = "") -> Iterator[TimedAdapter]:
    """Start the process. It is ready when its first call is answered."""
    command = [sys.executable, "-m", "benchmarks.timed_adapter", str(models), off]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield TimedAdapter(process)
        finally:
            process.kill()


async def main() -> None:
    models, off = sys.argv[1:]
    changes = {"on": [change.name for change in PIPELINE if change.asked], "off": [off] if off else []}
    bare = BarePipeline(Subject(Path(models)), threads=CORES, options=changes)
    await bare.executor.load()
    for line in sys.stdin:
        count, given = json.loads(line)
        print(await bare.seconds(*range(count), **given), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
