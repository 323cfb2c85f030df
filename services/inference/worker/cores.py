"""The number of cores that this process may use: by its affinity, and by the CPU quota of its control groups.

Nothing here raises: what cannot be read or understood sets no limit.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_WITHIN, _POINT = 3, 4  # fields of mountinfo: the folder that is mounted, and where


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
        return quota / period if quota > 0 and period > 0 else None
    except (OSError, ValueError, IndexError, OverflowError):  # "max", no such file, or one that is not the kernel's
        return None


def _groups(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of this process's groups that have a CPU quota, each with the folder it is mounted at."""
    paths = dict(_paths(root))
    for line in _lines(root / "proc/self/mountinfo"):
        mounted, _, source = line.partition(" - ")
        fields, (kind, *options) = mounted.split(), source.split() or [""]
        controller = "" if kind == "cgroup2" else "cpu"
        ours = kind == "cgroup2" or (kind == "cgroup" and "cpu" in ",".join(options).split(","))
        if ours and controller in paths and len(fields) > _POINT:
            mount = root / _unescaped(fields[_POINT]).lstrip("/")
            yield _inside(mount, paths[controller], _unescaped(fields[_WITHIN])), mount


def _paths(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of this process's group by controller, "" for version 2."""
    for line in _lines(root / "proc/self/cgroup"):
        if found := re.fullmatch(r"\d+:([^:]*):(/.*)", line):
            yield from ((controller, found[2]) for controller in found[1].split(","))


def _inside(mount: Path, path: str, within: str) -> Path:
    """Return the folder of the group `path`. In a container `mount` shows only what is `within` the host's tree.

    A group that is not to be seen there is that of the container, which is mounted itself.
    """
    shown = path.removeprefix(within.rstrip("/")) if path.startswith(within) else path
    folder = mount / shown.lstrip("/")
    return folder if ".." not in folder.parts and os.path.isdir(folder) else mount  # noqa: PTH112 - Path.is_dir raises


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="surrogateescape").split("\n")
    except OSError:
        return []


def _unescaped(field: str) -> str:
    """Return a field of mountinfo with its spaces, tabs, line breaks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
