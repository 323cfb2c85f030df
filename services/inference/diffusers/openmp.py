"""How long OpenMP's threads spin while they wait for each other."""

import os
from typing import Final

SPINS: Final = "3000"


def spin_briefly() -> None:
    """Have the threads spin for microseconds instead of milliseconds. Call it before torch is loaded.

    libgomp reads its environment when it is loaded, so this holds for the process. With libgomp's own count, a call of
    the model takes several times as long where another process wants one of its cores. Threads that never spin
    (OMP_WAIT_POLICY=PASSIVE) are slow as well, because only microseconds lie between two operators of a small model.
    An environment that sets either variable is left as it is.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
