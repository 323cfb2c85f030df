"""`just fuzz`: thousands of requests made up, at a real gateway; says what was wrong with any answer.

The same seed makes the same requests. Exit codes: 0 nothing was wrong, 1 something was.
"""

import argparse
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import structlog
from structlog.typing import EventDict, WrappedLogger

from tests.fuzz.answer_checks import faults_of
from tests.fuzz.connection import Wire
from tests.fuzz.gateway import open_world
from tests.fuzz.requests import Maker

SHOWN = 20


class Errors(logging.Handler):
    """What the gateway, or a library in it, logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.name}: {record.getMessage()}"[:500])

    def take(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """As the only processor of structlog."""
        if method in ("error", "exception", "critical"):
            self.found.append(f"{event} {traceback.format_exc()[-1500:]}")
        raise structlog.DropEvent


def main() -> int:
    parser = argparse.ArgumentParser(prog="just fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="How many requests.")
    parser.add_argument("--seed", type=int, default=1, help="Which ones.")
    given = parser.parse_args()
    errors = Errors()
    structlog.configure(processors=[errors.take])
    logging.getLogger().addHandler(errors)
    begun, statuses, faults = time.monotonic(), Counter[int](), list[str]()
    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as world:
        maker, wire = Maker(given.seed, world.routes, world.some_id), Wire(world.live.address)
        for number in range(given.count):
            request = maker.make()
            answer = wire.exchange(request)
            statuses[answer.status] += 1
            wrong = [*faults_of(request, answer), *(f"logged: {error}" for error in errors.found)]
            errors.found.clear()
            faults += [
                f"{number}: {fault}: {request.data[:300]!r} -> {answer.status} {answer.body[:300]!r}" for fault in wrong
            ]
        wire.close()
    for fault in faults[:SHOWN]:
        print(fault, file=sys.stderr)
    print(f"{given.count} requests in {time.monotonic() - begun:.0f} s, seed {given.seed}: {len(faults)} answers wrong")
    print(", ".join(f"{count} of {status or 'none'}" for status, count in sorted(statuses.items())))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
