"""The gateway's own readiness: it is ready while its broker, its status store and its object store answer."""

from typing import Literal

import structlog

from services.common.backends import Backends, ping_all

log = structlog.get_logger(__name__)

Ready = Literal["ready", "unavailable"]


class BackendHealth:
    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def states(self) -> dict[str, Ready]:
        """Return the state of each backend by name. The reason for an unavailable one goes to the log."""
        faults = await ping_all(self._backends)
        for name, fault in faults.items():
            if fault is not None:
                log.warning("dependency not ready", dependency=name, reason=fault)
        return {name: "ready" if fault is None else "unavailable" for name, fault in faults.items()}
