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
        self._count = 0  # of those that are admitted, if served already or not
        self._open: set[OpenConnection] = set()
        self._waiting: dict[OpenConnection, None] = {}  # the one that has waited longest is the first
        self._told_at = float("-inf")
        self.draining = False

    def __iter__(self) -> Iterator[OpenConnection]:
        return iter(tuple(self._open))

    def admit(self) -> bool:
        """Return whether there is room for one more, and count it; if need be, the longest waiting one is closed."""
        if self._count >= self._most:
            replaced = self._close_longest_waiting()
            self._report("replaced" if replaced else "refused")
            if not replaced:
                return False
        self._count += 1
        self._metrics.connections.set(self._count)
        return True

    def dismiss(self) -> None:
        """Count one less, which has been closed."""
        self._count -= 1
        self._metrics.connections.set(self._count)

    def free_file(self) -> bool:
        """Return whether a file becomes free for a new connection, which the system has not. As in `admit`."""
        self._report("no-file")
        return self._close_longest_waiting()

    @contextmanager
    def opened(self, connection: OpenConnection) -> Iterator[None]:
        """Have the connection told of a stop, and closed for another one, while the block runs."""
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)
            self._waiting.pop(connection, None)

    def note_waiting(self, connection: OpenConnection) -> None:
        """Note that no request uses the connection."""
        self._waiting[connection] = None

    def note_request(self, connection: OpenConnection) -> None:
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
            log.warning("too many connections", outcome=outcome, open=self._count, most=self._most, advice=_ADVICE)
