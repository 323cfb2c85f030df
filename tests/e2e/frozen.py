"""`python -m tests.e2e.frozen ...`: `studio ...` that says once how many objects its garbage collector leaves alone."""

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
