"""Run `studio ...` and report once how many objects its garbage collector leaves alone.

`python -m tests.support.frozen_heap ...` takes the arguments of `studio`.
"""

import gc
import sys
import threading
import time

from services.__main__ import main


def _tell() -> None:
    while not (count := gc.get_freeze_count()):
        time.sleep(0.02)
    sys.stderr.write(f"left alone: {count}\n")


if __name__ == "__main__":
    threading.Thread(target=_tell, daemon=True).start()
    main()
