"""Sends heavy requests to real gateways and reports what they cost: the event loop's time, and the largest answer."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Final

from starlette.routing import Route

from services.api.app import create_app
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from tests.api.conftest import embedded_settings
from tests.fuzz.cost import Cost, CostMeter
from tests.fuzz.gateway import MODELS
from tests.fuzz.heavy_requests import HeavyRequest, HeavyRequests
from tests.fuzz.heavy_requests import Route as RouteOf
from tests.fuzz.heavy_values import WIDE
from tests.support.api_keys import LINES, key_of
from tests.support.fakes import FakeWorker, dead_letter, stored_image
from tests.support.live_server import LiveGateway
from tests.support.messages import new_message, new_record

BUSY_SECONDS: Final = 0.05  # of the event loop's thread, for one request
ANSWER_BYTES: Final = 64 * 1024
_REPEATS: Final = 6
_JOBS: Final = 100  # the longest page of jobs
_LETTERS: Final = 1000  # the longest list of dead letters
_SETTLED_SECONDS: Final = 60.0
# Answers that are as long as what is stored, or the same for every request.
_LONG: Final = ("/v1/jobs", "/v1/dead-letters", "/v1/dead-letters/{message_id}", "/docs", "/openapi.json")
_FILES: Final = ("/v1/jobs/{job_id}/artifacts/{index}", "/v1/images/generations")
_KEYED: Final = ("/", "/login", "/logout", "/history", "/v1/jobs", "/v1/jobs/{job_id}/artifacts/{index}")

_CALLERS: Final[Sequence[tuple[bool, Sequence[str]]]] = (
    (False, ()),
    (True, [f"Authorization: Bearer {key_of('olga')}"]),
    (True, ()),
)


@dataclass
class HeavyReport:
    """The worst of all requests, and a sentence for each that is beyond a bound."""

    count: int = 0
    busiest: tuple[Cost, str] | None = None
    latest: tuple[Cost, str] | None = None
    largest: tuple[Cost, str] | None = None
    faults: list[str] = field(default_factory=list)

    def add(self, heavy: HeavyRequest, cost: Cost) -> None:
        self.count += 1
        told = f"{' '.join(heavy.route)}, {heavy.kind} ({len(heavy.request.data):,} bytes)"
        if self.busiest is None or cost.busy > self.busiest[0].busy:
            self.busiest = cost, told
        if self.latest is None or cost.late > self.latest[0].late:
            self.latest = cost, told
        if _is_bounded(heavy, cost) and (self.largest is None or cost.answer_bytes > self.largest[0].answer_bytes):
            self.largest = cost, told
        self.faults += [f"{told}: {fault}" for fault in _faults(heavy, cost)]

    def lines(self) -> Iterator[str]:
        yield f"{self.count} heavy requests"
        if self.busiest and self.latest and self.largest:
            yield f"longest work of the event loop: {self.busiest[0].busy * 1000:.1f} ms, {self.busiest[1]}"
            yield f"latest that it was: {self.latest[0].late * 1000:.1f} ms, {self.latest[1]}"
            yield f"largest answer: {self.largest[0].answer_bytes:,} bytes, {self.largest[1]}"


def measure_heavy_requests(folder: Path, seed: int, mixtures: int) -> HeavyReport:
    """Measure a request of each kind to each route, and so many mixtures; with keys off, and with keys on.

    With keys on, callers have an operator's key, or none.
    """
    report = HeavyReport()
    for number, (keys, fields) in enumerate(_CALLERS):
        with _open_target(folder / str(number), fields, keys=keys) as (live, requests):
            with CostMeter(live).running() as meter:
                for heavy in chain(requests.each_kind(), requests.mixtures(seed, mixtures // len(_CALLERS))):
                    report.add(heavy, cost_of(meter, heavy))
    return report


def cost_of(meter: CostMeter, heavy: HeavyRequest) -> Cost:
    """Return the cost; that of a request which seems too dear is the least of several times."""
    cost = meter.cost_of(heavy.request)
    if max(cost.busy, cost.late) < BUSY_SECONDS / 2:
        return cost
    return reduce(Cost.least, (meter.cost_of(heavy.request) for _ in range(_REPEATS)), cost)


def _faults(heavy: HeavyRequest, cost: Cost) -> Iterator[str]:
    status = cost.answer.status
    if status == 0 and heavy.request.whole:
        yield f"no answer: {cost.answer.body!r}"
    if status >= 500 and status != 504:  # 504 is the end of a wait for a job
        yield f"{status}: {cost.answer.body[:300]!r}"
    if cost.busy > BUSY_SECONDS:
        yield f"the loop was busy for {cost.busy * 1000:.0f} ms"
    if cost.late > BUSY_SECONDS:
        yield f"the loop was late by {cost.late * 1000:.0f} ms"
    if _is_bounded(heavy, cost) and cost.answer_bytes > ANSWER_BYTES:
        yield f"the answer has {cost.answer_bytes:,} bytes"


def _is_bounded(heavy: HeavyRequest, cost: Cost) -> bool:
    return cost.answer.status != 200 or heavy.route[1] not in (*_LONG, *_FILES)


@contextmanager
def _open_target(folder: Path, fields: Sequence[str], *, keys: bool) -> Iterator[tuple[LiveGateway, HeavyRequests]]:
    catalogue: Catalogue = load_catalogue(MODELS / "models.toml", MODELS / "styles.toml")
    settings = embedded_settings(
        folder,
        image_wait_seconds=0,
        rate_limit="none",
        owner_limit=1_000_000,
        queue_limit=1_000_000,
        keys=LINES if keys else None,
    )
    routes = [
        (method, route.path)
        for route in create_app(settings, catalogue).routes
        if isinstance(route, Route) and (not keys or route.path in _KEYED)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    with LiveGateway(settings, catalogue) as live:
        parts = asyncio.run_coroutine_threadsafe(_seeded(live, "key:olga" if keys else None), live.loop).result(
            _SETTLED_SECONDS
        )
        yield live, HeavyRequests([*_more_routes(keys=keys), *routes], parts, fields)


def _more_routes(*, keys: bool) -> list[RouteOf]:
    return [] if keys else [("GET", "/nowhere"), ("GET", "/static/studio.css"), ("PUT", "/v1/jobs"), ("OPTIONS", "/")]


async def _seeded(live: LiveGateway, owner: str | None) -> dict[str, str]:
    """Fill the longest pages of jobs and dead letters with long texts; return values for the parameters in paths."""
    backends = live.backends
    params = {"prompt": WIDE * 1000, "negative_prompt": WIDE * 1000, "seed": 1}
    plain = (new_message("studio-tiny", owner=owner) for _ in range(_LETTERS))
    messages = [message.model_copy(update={"params": params}) for message in plain]
    for message in messages:
        await dead_letter(backends, message)
    for message in messages[:_JOBS]:
        await backends.statuses.create(new_record(message))
    job_id = messages[0].job_id
    await FakeWorker(backends).succeed(job_id, stored_image())
    parts = {"job_id": job_id, "message_id": messages[-1].message_id, "index": "0", "input_id": job_id}
    return {**parts, "model": "studio-tiny", "code": "queue-full"}
