"""Durable submits: requests a second and 99th percentile of our gateway, with Hypercorn and uvicorn, and of FastAPI.

A submit is answered when the job is in the status store and the broker has confirmed its message. Each front is one
process with 16 connections; the load generator is another process. The fronts take turns, and ratios are taken within
a round.
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
