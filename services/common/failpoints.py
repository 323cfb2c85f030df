"""Named places between two writes of the protocol where a test can kill the process.

Armed only by STUDIO_FAILPOINT (`NAME`, or `NAME@K` for the K-th pass). Unarmed, a failpoint is one comparison.
"""

import ipaddress
import os
import signal
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from services.common.network.addresses import s3_endpoint

# In the order of the writes between which they lie; docs/architecture.md says what a crash there leaves behind.
FAILPOINTS: Final = (
    "gateway.filed",
    "gateway.given",
    "gateway.created",
    "gateway.published",
    "gateway.confirmed",
    "gateway.refused",
    "gateway.unconfirmed",
    "gateway.canceled",
    "gateway.buried",
    "gateway.ended",
    "gateway.forgotten",
    "worker.begun",
    "worker.fetched",
    "worker.generated",
    "worker.stored",
    "worker.finished",
    "worker.archived",
)


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


def check_failpoint(armed: str, places: Mapping[str, str | None]) -> None:
    """Raise ValueError unless this failpoint exists and every place is on this machine.

    `places` are addresses and URLs by the variable that names them. A process that listens to another machine, or
    works with one, may be production, where a variable left in the environment must not kill it.
    """
    name, _, count = armed.partition("@")
    if name not in FAILPOINTS or not (count or "1").isdecimal():
        raise ValueError(f"STUDIO_FAILPOINT: {armed!r} is none of {', '.join(FAILPOINTS)}, or has no number behind @")
    if elsewhere := [variable for variable, place in places.items() if place is not None and not _is_here(place)]:
        raise ValueError(f"STUDIO_FAILPOINT is for tests, and {', '.join(elsewhere)} reaches beyond this machine")


def _is_here(place: str) -> bool:
    """Return whether an address, or the host of a URL, is this machine; S3 without an endpoint is Amazon's."""
    if "://" in place:
        scheme = urlsplit(place).scheme
        if scheme in ("sqlite", "file"):
            return True
        place = urlsplit((s3_endpoint(place) or "") if scheme == "s3" else place).hostname or ""
    try:
        return ipaddress.ip_address(place).is_loopback
    except ValueError:
        return place == "localhost"
