"""Named places between two writes of the protocol where a test can have the process killed.

Armed only by STUDIO_FAILPOINT (`NAME`, or `NAME@K` for the K-th pass). Unarmed, a failpoint is one comparison.
"""

import os
import signal


class Failpoints:
    def __init__(self, armed: str | None = None) -> None:
        name, _, count = (armed or "").partition("@")
        self._name = name
        self._passes_left = int(count or 1)

    def reach(self, name: str) -> None:
        """SIGKILL this process when the failpoint is armed and this is the pass asked for."""
        if name != self._name:
            return
        self._passes_left -= 1
        if self._passes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
