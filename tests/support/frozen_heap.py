"""Runs `studio ...` and reports once how many objects its garbage collector has frozen (`gc.freeze`).

`python -m tests.support.frozen_heap ...` takes the arguments of `studio`.
"""

import gc
import sys
import threading
import time

from services.__main__ import main


def _report() -> None:
    while not (count := gc.get_freeze_count()):
        time.sleep(0.02)
    sys.stderr.write(f"frozen: {count}\n")


if __name__ == "__main__":
    threading.Thread(target=_report, daemon=True).start()
    main()
