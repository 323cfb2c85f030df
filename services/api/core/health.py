"""The gateway's own readiness: its backends do what it asks of them, and its sweeper sweeps."""

from typing import Literal

import structlog

from services.api.core.sweeper import Sweeper
from services.common.backends import Backends, ping_all

log = structlog.get_logger(__name__)

Ready = Literal["ready", "unavailable"]


class BackendHealth:
    def __init__(self, backends: Backends, sweeper: Sweeper | None = None) -> None:
        self._backends = backends
        self._sweeper = sweeper
        self._faults: dict[str, str | None] = {}

    async def states(self) -> dict[str, Ready]:
        """Return the state of each backend by name. The reason for an unavailable one goes to the log, once."""
        faults = await ping_all(self._backends, publishing=True)
        for name, fault in faults.items():
            if fault is None and self._faults.get(name) is not None:
                log.info("dependency ready again", dependency=name)
            elif fault != self._faults.get(name):
                log.warning("dependency not ready", dependency=name, reason=fault)
        self._faults = faults
        return {name: "ready" if fault is None else "unavailable" for name, fault in faults.items()}

    @property
    def sweeping(self) -> bool:
        """False while sweeps fail although the backends answer."""
        return self._sweeper is None or not self._sweeper.failing
