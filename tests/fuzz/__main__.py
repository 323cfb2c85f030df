"""`just fuzz`: send thousands of generated requests to real gateways, and report every faulty or costly answer.

First come `--count` requests of every sort, one after the other. Then come requests that are as heavy as they may be:
one of each kind to each route, and `--mixtures` of several kinds. The same seed generates the same requests. Exit
codes: 0 no answer was faulty, 1 some were, or a heavy request cost the event loop or the network more than it may.
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
from tests.fuzz.connection import Connection
from tests.fuzz.gateway import open_target
from tests.fuzz.heavy import measure_heavy_requests
from tests.fuzz.requests import RequestGenerator

SHOWN = 20


class ErrorLog(logging.Handler):
    """Collects the errors that the gateway, or a library in it, logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.name}: {record.getMessage()}"[:500])

    def take(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Collect an error; this is the only processor of structlog."""
        if method in ("error", "exception", "critical"):
            self.found.append(f"{event} {traceback.format_exc()[-1500:]}")
        raise structlog.DropEvent


def main() -> int:
    parser = argparse.ArgumentParser(prog="just fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="Number of requests.")
    parser.add_argument("--mixtures", type=int, default=2_000, help="Number of requests that are heavy in many ways.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the generated requests.")
    given = parser.parse_args()
    faults = [*_send_any(given.count, given.seed), *_send_heavy(given.seed, given.mixtures)]
    for fault in faults[:SHOWN]:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _send_any(count: int, seed: int) -> list[str]:
    """Send so many requests of every sort; return a sentence for each fault of an answer."""
    errors = ErrorLog()
    structlog.configure(processors=[errors.take])
    logging.getLogger().addHandler(errors)
    begun, statuses, faults = time.monotonic(), Counter[int](), list[str]()
    with tempfile.TemporaryDirectory() as folder, open_target(Path(folder)) as target:
        generator = RequestGenerator(seed, target.routes, target.some_id)
        connection = Connection(target.live.address)
        for number in range(count):
            request = generator.generate()
            answer = connection.exchange(request)
            statuses[answer.status] += 1
            wrong = [*faults_of(request, answer), *(f"logged: {error}" for error in errors.found)]
            errors.found.clear()
            faults += [
                f"{number}: {fault}: {request.data[:300]!r} -> {answer.status} {answer.body[:300]!r}" for fault in wrong
            ]
        connection.close()
    print(f"{count} requests in {time.monotonic() - begun:.0f} s, seed {seed}: {len(faults)} answers wrong")
    print(", ".join(f"{count} of {status or 'none'}" for status, count in sorted(statuses.items())))
    return faults


def _send_heavy(seed: int, mixtures: int) -> list[str]:
    """Send heavy requests and print what they cost; return a sentence for each that is beyond a bound."""
    # What is logged would be processor time of the test.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        report = measure_heavy_requests(Path(folder), seed, mixtures)
    print(*report.lines(), sep="\n")
    return report.faults


if __name__ == "__main__":
    sys.exit(main())
