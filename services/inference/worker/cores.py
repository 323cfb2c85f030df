"""The number of cores that this process may use: by its affinity, and by the CPU quota of its control groups."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Return how many threads can calculate all the time, at least one. `root` holds `proc` and `sys`.

    A quota is rounded down: a group that has used it up stands still until its period ends, all threads of the process
    at once, so one thread too many costs more than it adds.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas in cores of this process's group and of all groups around it."""
    for folder, mount in _groups(root):
        for group in (folder, *folder.parents):
            if (quota := _quota(group)) is not None:
                yield quota
            if group == mount:
                break


def _quota(group: Path) -> float | None:
    """Return the quota of one group, of version 2 or 1 of control groups; None without one."""
    try:
        if (limit := group / "cpu.max").exists():
            words = limit.read_text().split()
        else:
            words = [(group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
        quota, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _groups(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of this process's groups that have a CPU quota, each with the folder it is mounted at."""
    paths = dict(_paths(root))
    for line in _lines(root / "proc/self/mountinfo"):
        mounted, _, source = line.partition(" - ")
        kind, *options = source.split()
        if kind == "cgroup2":
            path = paths.get("")
        elif kind == "cgroup" and "cpu" in options[-1].split(","):
            path = paths.get("cpu")
        else:
            continue
        within, point = mounted.split()[3:5]
        if path is None:
            continue
        mount = root / _unescaped(point).lstrip("/")
        yield _inside(mount, path, _unescaped(within)), mount


def _paths(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of this process's group by controller, "" for version 2."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        yield from ((controller, path) for controller in controllers.split(","))


def _inside(mount: Path, path: str, within: str) -> Path:
    """Return the folder of the group `path`. In a container `mount` shows only what is `within` the host's tree.

    A group that is not to be seen there is that of the container, which is mounted itself.
    """
    shown = path.removeprefix(within.rstrip("/")) if path.startswith(within) else path
    folder = mount / shown.lstrip("/")
    return folder if ".." not in folder.parts and folder.is_dir() else mount


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def _unescaped(field: str) -> str:
    """Return a field of mountinfo with its spaces."""
    return field.replace("\\040", " ")
