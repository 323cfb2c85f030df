"""The number of cores that this process may use: by its affinity, and by the CPU quota of its control groups."""

import os
from pathlib import Path

from services.inference.runtime.control_groups import ROOT, group_limits


def usable_cores(root: Path = ROOT) -> int:
    """Return how many threads can calculate all the time, at least one. `root` holds `proc` and `sys`.

    A quota is rounded down: a group that has used it up stands still until its period ends, all threads of the process
    at once, so one thread too many costs more than it adds.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *group_limits("cpu", _quota, root)])))


def _quota(group: Path) -> float | None:
    """Return the quota of one group in cores, of version 2 or 1 of control groups; None without one."""
    if (limit := group / "cpu.max").exists():
        words = limit.read_text().split()
    else:
        words = [(group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
    quota, period = int(words[0]), int(words[1])
    return quota / period if quota > 0 and period > 0 else None
