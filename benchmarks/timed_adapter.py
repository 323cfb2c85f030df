"""`python -m benchmarks.timed_adapter MODELS OFF`: makes calls of one adapter and says how long they take.

`OFF` are names of changes that it leaves out, separated by commas. For every line of JSON on standard input (the
arguments of `Timed.seconds`) it prints the seconds that these images took.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import psutil

from benchmarks.rig import CORES, PROMPT, BarePipeline
from benchmarks.subject import Subject
from services.common.params import Txt2ImgParams
from services.inference.runtime.adapter import QUIET, Item
from tests.support.system import ROOT


class Timed:
    """The process, from outside."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def seconds(self, count: int, scales: int, **given: int) -> float:
        """Return the seconds that `count` images take, with so many scales of guidance among them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"count": count, "scales": scales, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with {self._process.wait()}")
        return float(line)

    def megabytes(self) -> float:
        """Return the memory that the process has now."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20


@contextmanager
def timed(models: Path, off: str = "") -> Iterator[Timed]:
    """Start the process. It is ready when its first call is answered."""
    command = [sys.executable, "-m", "benchmarks.timed_adapter", str(models), off]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Timed(process)
        finally:
            process.kill()


async def main() -> None:
    models, off = sys.argv[1:]
    subject = Subject(Path(models))
    bare = BarePipeline(subject, threads=CORES, off=[name for name in off.split(",") if name])
    await bare.executor.load()
    for line in sys.stdin:
        print(await _seconds(bare, **json.loads(line)), flush=True)


async def _seconds(bare: BarePipeline, count: int, scales: int, given: dict[str, int]) -> float:
    items = [_item(bare, index, guidance=2.0 + index % scales, **given) for index in range(count)]
    keys = [bare.executor.adapter.batch_key(item) for item in items]
    calls = [[items[index] for index in batch] for _, batch in groupby(range(count), keys.__getitem__)]
    begin = time.perf_counter()
    for call in calls:
        await bare.executor.generate(call, QUIET)
    return time.perf_counter() - begin


def _item(bare: BarePipeline, index: int, **given: float) -> Item:
    params = bare.model.parameters({"prompt": PROMPT, **given})
    assert isinstance(params, Txt2ImgParams)
    return Item("timed", index, index, PROMPT, "", params)


if __name__ == "__main__":
    asyncio.run(main())
