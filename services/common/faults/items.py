"""One item of a walk that fails: it is told and left out, and the walk goes on with the others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from services.common.backends import Backends, ping
from services.common.errors import BackendUnavailable, StudioError

log = structlog.get_logger(__name__)


class FaultyItems:
    """The items that failed in this walk, in `found`. One that failed in the walk before as well is not told again."""

    def __init__(self, backends: Backends, walk: str) -> None:
        self._backends = backends
        self._walk = walk
        self._before: set[str] = set()
        self.found: set[str] = set()

    def begin(self) -> None:
        """Begin the next walk."""
        self._before, self.found = self.found, set()

    @asynccontextmanager
    async def apart(self, item: str) -> AsyncIterator[None]:
        """Keep what the block raises from the other items. Raise only for a backend that does not answer at all."""
        try:
            yield
        except (StudioError, TimeoutError) as exc:
            if isinstance(exc, BackendUnavailable):
                await ping(self._backends, exc.backend)
            self._leave_out(item, exc)
        except Exception as exc:  # noqa: BLE001 - a defect that one item brings to light
            self._leave_out(item, exc, defect=True)

    def _leave_out(self, item: str, exc: Exception, *, defect: bool = False) -> None:
        if item not in self._before | self.found:
            log.warning("item left out", walk=self._walk, item=item, reason=str(exc), exc_info=exc if defect else None)
        self.found.add(item)
