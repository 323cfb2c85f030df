"""Faults that an operator has to mend: each is told once, with what mends it."""

from dataclasses import dataclass
from typing import Final

import structlog

from services.common.errors import BackendRefused, BackendUnavailable, StorageDenied

log = structlog.get_logger(__name__)

OBJECTS: Final = "objects"


@dataclass(frozen=True)
class Fault:
    """`cure` is what an operator has to do. `lasting` if nothing else helps: neither time nor a new connection."""

    cure: str
    lasting: bool = False


class Refusals:
    """Makes the errors of one backend from its faults, and tells each cure once until the fault is `mended`."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._told: set[str] = set()

    def error(self, reason: object, fault: Fault | None, backend: str | None = None) -> BackendUnavailable:
        """Return the error to raise; without a fault it passes by itself. `backend` is its name if it has several."""
        name = backend or self._backend
        if fault is None:
            return BackendUnavailable(name, reason)
        if fault.cure not in self._told:
            self._told.add(fault.cure)
            log.error("backend needs an operator", backend=name, reason=str(reason), cure=fault.cure)
        if not fault.lasting:
            return BackendUnavailable(name, reason, fault.cure)
        if name == OBJECTS:
            return StorageDenied(reason, fault.cure)
        return BackendRefused(name, reason, fault.cure)

    def mended(self) -> None:
        """Tell every fault again that comes back: the backend has just done all that is asked of it."""
        self._told.clear()
