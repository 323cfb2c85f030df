"""The control groups of this process: what a container, or the system, allows to it.

Nothing here raises: what cannot be read or understood sets no limit.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_WITHIN, _POINT = 3, 4  # fields of mountinfo: the folder that is mounted, and where
ROOT: Final = Path("/")


def group_limits(controller: str, read: Callable[[Path], float | None], root: Path = ROOT) -> Iterator[float]:
    """Yield what `read` finds in the folders of this process's group and of all groups around it.

    The controller, such as cpu, is that of version 1 of control groups. `root` holds `proc` and `sys`.
    """
    for folder, mount in _groups(controller, root):
        for group in (folder, *folder.parents):
            try:
                limit = read(group)
            except (OSError, ValueError, IndexError, OverflowError):  # "max", no such file, or one not the kernel's
                limit = None
            if limit is not None:
                yield limit
            if group == mount:
                break


def _groups(controller: str, root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of this process's groups, each with the folder it is mounted at."""
    paths = dict(_paths(root))
    for line in _lines(root / "proc/self/mountinfo"):
        mounted, _, source = line.partition(" - ")
        fields, (kind, *options) = mounted.split(), source.split() or [""]
        named = "" if kind == "cgroup2" else controller
        ours = kind == "cgroup2" or (kind == "cgroup" and controller in ",".join(options).split(","))
        if ours and named in paths and len(fields) > _POINT:
            mount = root / _unescaped(fields[_POINT]).lstrip("/")
            yield _inside(mount, paths[named], _unescaped(fields[_WITHIN])), mount


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
