"""A measured figure, printed as a line of text or as a JSON object."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Self


@dataclass(frozen=True)
class Figure:
    """`goal` reads ">= 0.97" or "<= 15", or is empty; `spread` is the interquartile range of the `n` samples."""

    name: str
    value: float
    unit: str
    goal: str
    ok: bool
    n: int
    spread: float
    machine: str

    @classmethod
    def of(cls, name: str, value: float, unit: str, goal: str, samples: Sequence[float]) -> Self:
        relation, _, limit = goal.partition(" ")
        ok = not goal or (value >= float(limit) if relation == ">=" else value <= float(limit))
        return cls(name, round(value, 4), unit, goal, ok, len(samples), round(_spread(samples), 4), _machine())

    def print(self, *, as_json: bool) -> None:
        if as_json:
            print(json.dumps(asdict(self)), flush=True)
            return
        mark = "    " if not self.goal else "ok  " if self.ok else "MISS"
        goal = f"goal {self.goal}, " if self.goal else ""
        print(f"{mark} {self.name}: {self.value:g} {self.unit} ({goal}n={self.n}, spread {self.spread:g})")


def _spread(samples: Sequence[float]) -> float:
    if len(samples) < 2:
        return 0.0
    quartiles = statistics.quantiles(samples, n=4)
    return quartiles[2] - quartiles[0]


def _machine() -> str:
    parts = [f"{os.cpu_count()} x {platform.machine()}", *_gpus(), f"Python {platform.python_version()}"]
    return ", ".join(parts)


@cache
def _gpus() -> tuple[str, ...]:
    """Return the names of NVIDIA's GPUs from the driver, or none if the driver or its library is missing."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
    except Exception:  # noqa: BLE001 - NVMLError belongs to the library, which may be missing
        return ()
