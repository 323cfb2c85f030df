"""The cost of a request without an application: a constant answer from Hypercorn and from uvicorn.

Both servers run as in `polls` and `submit`, and the answer has as many headers as one of ours. No gateway behind
Hypercorn can be faster than this figure.
"""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.fronts import compare, open_plain_fronts
from benchmarks.http_load import Load, request

REQUESTS = 4_000


def run() -> Iterator[Figure]:
    with open_plain_fronts() as fronts:
        yield from compare("floor", fronts, lambda _front: Load([request("GET", "/")] * REQUESTS, 200))
