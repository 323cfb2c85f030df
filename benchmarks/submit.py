"""Durable submits: requests a second and 99th percentile of our gateway, of the same behind uvicorn, and of FastAPI.

Each is answered when the job is in the status store and its message confirmed by the broker. One gateway process each,
16 connections, the load generator in a process of its own. Fronts take turns; ratios are taken within a round.
"""

import json
from collections.abc import Iterator
from itertools import count

from benchmarks.figure import Figure
from benchmarks.fronts import compare, open_fronts
from benchmarks.http_load import Load, request
from benchmarks.rig import BACKENDS, PROMPT

REQUESTS = 400


def run() -> Iterator[Figure]:
    seeds = count()
    for backends in BACKENDS:
        with open_fronts(backends) as fronts:
            yield from compare(f"submit.{backends}", fronts, lambda _front: _load(seeds))


def _load(seeds: Iterator[int]) -> Load:
    bodies = [json.dumps({"prompt": PROMPT, "seed": next(seeds)}).encode() for _ in range(REQUESTS)]
    return Load([request("POST", "/v1/jobs", body, Content_Type="application/json") for body in bodies], 202)
