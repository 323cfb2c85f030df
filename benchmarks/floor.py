"""What a request costs before an application does anything: an answer made beforehand, from Hypercorn and from uvicorn.

Both as in `polls` and `submit`, the answer with as many headers as one of ours. No gateway behind Hypercorn can be
faster than this one, whatever it leaves out.
"""

from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.fronts import compare, open_plain_fronts
from benchmarks.http_load import Load, request

REQUESTS = 4_000


def run() -> Iterator[Figure]:
    with open_plain_fronts() as fronts:
        yield from compare("floor", fronts, lambda _front: Load([request("GET", "/")] * REQUESTS, 200))
