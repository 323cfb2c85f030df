"""Makes large arrays once, on all cores, and reads them from the disk afterwards."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from rich.progress import track

_CHUNK = 64


def make_rows(
    file: Path, shape: tuple[int, ...], kind: DTypeLike, make: Callable[[range], NDArray[Any]]
) -> NDArray[Any]:
    """Return an array of this shape, mapped from `file`. If the file is missing, processes call `make` for its rows.

    Raises ValueError if the file holds another number of rows.
    """
    if not file.exists():
        fresh = file.with_suffix(".tmp")
        rows = np.lib.format.open_memmap(fresh, "w+", kind, shape)
        chunks = [range(start, min(start + _CHUNK, shape[0])) for start in range(0, shape[0], _CHUNK)]
        with get_context("spawn").Pool(os.cpu_count()) as pool:
            for chunk, made in track(zip(chunks, pool.imap(make, chunks), strict=True), file.stem, len(chunks)):
                rows[chunk.start : chunk.stop] = made
        rows.flush()
        fresh.replace(file)
    found = np.load(file, mmap_mode="r")
    if len(found) != shape[0]:
        raise ValueError(f"{file} holds {len(found)} rows, not {shape[0]}: delete it to make them again")
    return found  # type: ignore[no-any-return]
