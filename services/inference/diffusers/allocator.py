"""glibc's allocator keeps the memory that a call of the model gives back, for the next call.

By default it returns every large tensor to the kernel, which makes and clears each page of the next one anew. The
process is no larger at its peak than by default; it stays as large afterwards. `just bench changes` measures the gain.
"""

import ctypes
import sys
from typing import Final

# https://man7.org/linux/man-pages/man3/mallopt.3.html
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_NEVER: Final = 1 << 30  # bytes; no tensor of a call on a CPU is larger


def keep_memory() -> None:
    """Set the allocator of this process. Call it before the first tensor is made; without glibc it does nothing."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, _NEVER)
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_TOP_PAD, 64 << 20)
    mallopt(_ARENA_MAX, 1)  # the arenas of other threads than the first are too small for large tensors
