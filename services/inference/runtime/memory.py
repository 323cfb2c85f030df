"""The memory that models take: of the GPU where torch uses one, else of this process."""

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from services.inference.runtime.control_groups import ROOT, group_limits

_STATM: Final = Path("/proc/self/statm")
_SHARE_OF_MACHINE: Final = 0.5  # the rest is for calls, for other programs, and for the files that are read
_SHARE_OF_GPU: Final = 0.75  # the rest is for calls


def used_bytes() -> int:
    """Return the bytes in use: on the GPUs what torch has allocated, else the resident memory of this process."""
    if (cuda := _cuda()) is not None:
        return sum(cuda.memory_allocated(index) for index in range(cuda.device_count()))
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):  # no Linux: the largest so far, in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def usual_limit() -> int:
    """Return the bytes that models may use together where no limit is set."""
    if (cuda := _cuda()) is not None:
        return int(_SHARE_OF_GPU * cuda.mem_get_info()[1])
    return int(_SHARE_OF_MACHINE * usable_bytes())


def usable_bytes(root: Path = ROOT) -> int:
    """Return the memory of this machine, or of this container if that is allowed less. `root` holds `proc`, `sys`."""
    whole = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    return int(min([whole, *group_limits("memory", _allowed, root)]))


def give_back_memory() -> None:
    """Collect garbage and return free memory to the system. Takes some 0.2 s, in which no other thread runs.

    Objects that were exempt from collection are collected too, since parts of a model may be among them; those that
    are left are exempt again.
    glibc returns nothing by itself in a process that keeps the memory of its calls (diffusers/allocator.py).
    """
    exempt = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if exempt:
        gc.freeze()
    if sys.platform.startswith("linux"):
        with suppress(AttributeError):  # musl has none
            ctypes.CDLL(None).malloc_trim(0)


def _allowed(group: Path) -> float | None:
    """Return the bytes that one control group may use, of version 2 or 1; None without a limit."""
    newer = group / "memory.max"
    limit = int((newer if newer.exists() else group / "memory.limit_in_bytes").read_text())
    return limit if limit > 0 else None


def _cuda() -> Any:
    """Return torch's module of the GPUs, or None where torch is not loaded or uses none."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
