"""Status polls: requests a second and 99th percentile of our gateway, of our gateway behind uvicorn, and of FastAPI.

Each front is one process with 16 connections; the load generator is another process. `known` are polls of a client
that sends its ETag and is answered 304. The fronts take turns, and ratios are taken within a round.
"""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

from benchmarks.figure import Figure
from benchmarks.fronts import Front, compare, open_fronts
from benchmarks.http_load import Load, request
from benchmarks.rig import BACKENDS, PROMPT, ask

REQUESTS = 2_000


def run() -> Iterator[Figure]:
    for backends in BACKENDS:
        with open_fronts(backends) as fronts:
            waiting = {front: _waiting_job(front) for front in fronts}
            fresh = {front: Load([request("GET", path)] * REQUESTS, 200) for front, (path, _) in waiting.items()}
            known = {
                front: Load([request("GET", path, If_None_Match=etag)] * REQUESTS, 304)
                for front, (path, etag) in waiting.items()
            }
            yield from compare(f"polls.{backends}.fresh", fronts, fresh.__getitem__)
            yield from compare(f"polls.{backends}.known", fronts, known.__getitem__)


def _waiting_job(front: Front) -> tuple[str, str]:
    """Submit a job, which no worker takes, and return its path and the ETag of its answer."""
    with closing(HTTPConnection("127.0.0.1", front.port, timeout=10)) as client:
        path = f"/v1/jobs/{ask(client, 'POST', '/v1/jobs', {'prompt': PROMPT, 'seed': 1})['id']}"
        client.request("GET", path)
        response = client.getresponse()
        response.read()
        return path, str(response.headers["ETag"])
