"""How much time each change of a pipeline saves on a CPU: the time of a call without the change, over that with it.

Two processes, one without the change, make the same call in turn, so a machine that is slow today slows both. A ratio
is taken in each turn; above 1 the change saves time. Two models: studio-tiny at its usual size, and random weights of
Stable Diffusion 1.5's size, which are made in `build/sized` at first. At 128 pixels these images are a sixteenth of
that model's usual ones, so what a change saves apart from arithmetic weighs more here than there. `memory` is what
the process with the change has more, after its calls.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from benchmarks.figure import Figure
from benchmarks.sized_model import FULL, build
from benchmarks.subject import MODELS
from benchmarks.timed_adapter import TimedAdapter, timed
from services.inference.diffusers.changes import PIPELINE, PROCESS
from tests.support.system import ROOT

CHANGES: Final = tuple(change.name for change in (*PROCESS, *PIPELINE) if change.cpu)
SIZED: Final = ROOT / "build" / "sized" / "models.toml"


@dataclass(frozen=True)
class Workload:
    """A call for `count` images, made `rounds` times by either process. `given` are the parameters of each image."""

    name: str
    count: int
    rounds: int
    given: dict[str, int] = field(default_factory=dict)


TINY: Final = (
    Workload("studio-tiny, 1 image", 1, 10),
    Workload("studio-tiny, 4 images", 4, 6),
    Workload("studio-tiny, 16 images", 16, 4),
)
LARGE: Final = (Workload("sd15-sized 128x128, 1 image", 1, 3, {"width": 128, "height": 128, "steps": 2}),)


def run() -> Iterator[Figure]:
    """One figure for each change and workload, then the memory."""
    if not SIZED.is_file():
        SIZED.parent.mkdir(parents=True, exist_ok=True)
        build(SIZED.parent, FULL)
    for models, workloads in ((MODELS, TINY), (SIZED, LARGE)):
        with timed(models) as changed:
            for change in CHANGES:
                with timed(models, change) as plain:
                    for workload in workloads:
                        yield _compare(change, workload, changed, plain)
                    more = changed.megabytes() - plain.megabytes()
                    model = workloads[0].name.partition(",")[0]
                    yield Figure.of(f"changes.{change}.memory ({model})", more, "MB", "", [more])


def _compare(change: str, workload: Workload, changed: TimedAdapter, plain: TimedAdapter) -> Figure:
    ratios = []
    for number in range(-1, workload.rounds):  # the first warms up
        without, with_it = (each.seconds(workload.count, workload.given) for each in (plain, changed))
        if number >= 0:
            ratios.append(without / with_it)
    return Figure.of(f"changes.{change} ({workload.name})", statistics.median(ratios), "ratio", "", ratios)
