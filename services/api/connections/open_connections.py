"""How many connections are open, which of them wait for a request, and what happens when there are too many."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import structlog

from services.api.core.metrics import Metrics

log = structlog.get_logger(__name__)

_TELL_SECONDS: Final = 60.0
_ADVICE: Final = "raise `ulimit -n`, or LimitNOFILE= of the service: half of it is for connections"


class OpenConnection(Protocol):
    """The part of a connection that concerns others."""

    def abort(self) -> None: ...

    def drain(self) -> None: ...

    async def leave(self) -> None: ...


class OpenConnections:
    """At most `most` connections. `draining` is set once the gateway stops."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._metrics = metrics
        self._open: set[OpenConnection] = set()
        self._waiting: dict[OpenConnection, None] = {}  # the one that has waited longest is the first
        self._told_at = float("-inf")
        self.draining = False

    def __iter__(self) -> Iterator[OpenConnection]:
        return iter(tuple(self._open))

    def make_room(self) -> bool:
        """Return whether there is room for one more; if need be, the one that has waited longest is closed."""
        if len(self._open) < self._most:
            return True
        replaced = self._close_longest_waiting()
        self._report("replaced" if replaced else "refused")
        return replaced

    def free_file(self) -> bool:
        """Return whether a file becomes free for a new connection, which the system has not: as in `make_room`."""
        self._report("no-file")
        return self._close_longest_waiting()

    @contextmanager
    def opened(self, connection: OpenConnection) -> Iterator[None]:
        """Count the connection while the block runs."""
        self._open.add(connection)
        self._metrics.connections.set(len(self._open))
        try:
            yield
        finally:
            self._open.discard(connection)
            self._waiting.pop(connection, None)
            self._metrics.connections.set(len(self._open))

    def wait_for_request(self, connection: OpenConnection) -> None:
        """Note that no request uses the connection."""
        self._waiting[connection] = None

    def begin_request(self, connection: OpenConnection) -> None:
        """Note that a request uses the connection."""
        self._waiting.pop(connection, None)

    def _close_longest_waiting(self) -> bool:
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        del self._waiting[longest]
        longest.abort()
        return True

    def _report(self, outcome: str) -> None:
        """Count that a limit was reached, and log it once a minute."""
        self._metrics.connections_over_limit.labels(outcome).inc()
        now = time.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            log.warning("too many connections", outcome=outcome, open=len(self._open), most=self._most, advice=_ADVICE)
