"""How much time each change of a pipeline saves on a CPU: the time of a call without the change, over that with it.

Two processes, one without the change, make the same call in turn, so a machine that is slow today slows both. A ratio
is taken in each turn; above 1 the change saves time. Two models: studio-tiny at its usual size, and random weights of
Stable Diffusion 1.5's size, which are made in `build/sized` at first. At 256 pixels these images are a quarter of that
model's usual ones, so what a change saves apart from arithmetic weighs more here than there. `busy` is beside a process
that takes one core. `memory` is what the process with the change has more, after its calls.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.figure import Figure
from benchmarks.sized_model import FULL, build
from benchmarks.subject import MODELS
from benchmarks.timed_adapter import Timed, timed
from tests.support.system import ROOT

CHANGES: Final = ("traced-denoiser", "guidance", "thread-spin", "kept-memory")
MEMORY: Final = ("traced-denoiser", "kept-memory")  # those that are paid for with it
SIZED: Final = ROOT / "build" / "sized" / "models.toml"


@dataclass(frozen=True)
class Workload:
    """A call for `count` images, made `rounds` times by either process. `given` are the parameters of each image."""

    name: str
    models: Path
    count: int
    rounds: int
    given: dict[str, int] = field(default_factory=dict)
    busy: bool = False

    def scales(self, change: str) -> int:
        return self.count if change == "guidance" else 1


LARGE: Final = {"width": 256, "height": 256, "steps": 2}
TINY: Final = (
    Workload("studio-tiny, 1 image", MODELS, 1, 10),
    Workload("studio-tiny, 4 images", MODELS, 4, 6),
    Workload("studio-tiny, 16 images", MODELS, 16, 4),
)
SPIN: Final = (Workload("studio-tiny, 1 image, busy", MODELS, 1, 10, busy=True),)
LARGE_ONE: Final = (Workload("sd15-sized 256x256, 1 image", SIZED, 1, 3, LARGE),)
LARGE_TWO: Final = (Workload("sd15-sized 256x256, 2 images", SIZED, 2, 2, LARGE),)


def run() -> Iterator[Figure]:
    """One figure for each change and workload, then the memory."""
    if not SIZED.is_file():
        SIZED.parent.mkdir(parents=True, exist_ok=True)
        build(SIZED.parent, FULL)
    for models in (MODELS, SIZED):
        with timed(models) as together:
            for change in CHANGES:
                with timed(models, change) as without:
                    for workload in _workloads(models, change):
                        yield _compare(change, workload, together, without)
                    if change in MEMORY:
                        more = together.megabytes() - without.megabytes()
                        label = "studio-tiny" if models == MODELS else FULL.name
                        yield Figure.of(f"changes.{change}.memory ({label})", more, "MB", "", [more])


def _workloads(models: Path, change: str) -> tuple[Workload, ...]:
    if models == SIZED:
        return LARGE_TWO if change == "guidance" else LARGE_ONE
    if change == "guidance":
        return TINY[1:]
    return (*TINY, *SPIN) if change == "thread-spin" else TINY


def _compare(change: str, workload: Workload, together: Timed, without: Timed) -> Figure:
    def seconds(process: Timed) -> float:
        return process.seconds(workload.count, workload.scales(change), **workload.given)

    with _busy() if workload.busy else nullcontext():
        ratios = []
        for number in range(-1, workload.rounds):  # the first warms up
            one, other = seconds(without), seconds(together)
            if number >= 0:
                ratios.append(one / other)
    return Figure.of(f"changes.{change} ({workload.name})", statistics.median(ratios), "ratio", "", ratios)


@contextmanager
def _busy() -> Iterator[None]:
    """Take one core."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()
