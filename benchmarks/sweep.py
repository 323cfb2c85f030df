"""The sweeper's look at a long queue: records that it reads, and seconds, with a hundred thousand jobs queued.

The jobs are in one lane of a status store, published and not begun. A sweep reads the lane once. Then a job published
last is begun, so that all others count as passed, as after the loss of the whole queue.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.figure import Figure
from services.api.core.lane_sweep import MOST_OF_A_LANE
from services.common.backends import Backends, open_backends
from services.common.ids import new_job_id
from services.common.ports import Lease
from services.common.schemas import JobMessage, StatusRecord
from services.common.settings import Settings
from tests.support.servers.stack import start_stack

SIZES = (1_000, 100_000)
AT_ONCE = 100
ROUNDS = 11
READ_GOAL = "<= 100"


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name:
        folder = Path(name)
        yield from asyncio.run(_measure("embedded", _settings(folder)))
        with start_stack(folder) as stack:
            yield from asyncio.run(_measure("distributed", _settings(folder, statuses_url=stack.statuses_url)))


def _settings(folder: Path, **other: str) -> Settings:
    database = f"sqlite:///{folder}/studio.db"
    urls = {"broker_url": database, "statuses_url": database, "objects_url": f"file:///{folder}/objects", **other}
    return Settings.model_validate(urls)


async def _measure(kind: str, settings: Settings) -> list[Figure]:
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(open_backends(settings))
        queued: list[StatusRecord] = []
        for size in SIZES:
            queued += await _queue(backends, size - len(queued))
            figures += await _look(f"sweep.{kind}, {size} queued", backends, READ_GOAL)
        last = queued[-1].message
        await backends.statuses.begin(last, Lease(last.job_id, last.message_id))
        figures += await _look(f"sweep.{kind}, {SIZES[-1]} lost", backends, f"<= {MOST_OF_A_LANE}")
    return figures


async def _queue(backends: Backends, count: int) -> list[StatusRecord]:
    """Create so many published jobs, the last one long after the others as the status store sees it."""
    made: list[StatusRecord] = []
    while len(made) < count:
        some = [_record() for _ in range(min(AT_ONCE, count - len(made)))]
        await asyncio.gather(*(backends.statuses.create(each) for each in some))
        published = [each.model_copy(update={"published": True}) for each in some]
        await asyncio.gather(*(backends.statuses.create(each) for each in published))
        made += some
    return made


def _record() -> StatusRecord:
    now = time.time()
    message = JobMessage(
        job_id=new_job_id(),
        model="painter",
        modality="txt2img",
        params={"prompt": "a red mug on a table of oak, soft light from the left", "width": 512, "height": 512},
        created_at=now,
        expires_at=now + 86_400,
    )
    return StatusRecord(job_id=message.job_id, message=message, created_at=now)


async def _look(name: str, backends: Backends, goal: str) -> Sequence[Figure]:
    seconds, records = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        lanes = await backends.statuses.lanes(MOST_OF_A_LANE)
        seconds.append(time.perf_counter() - begin)
        records.append(sum(len(lane.jobs) for lane in lanes))
    return [
        Figure.of(f"{name}, records read", statistics.median(records), "records", goal, records),
        Figure.of(f"{name}, time", 1000 * statistics.median(seconds), "ms", "", [1000 * each for each in seconds]),
    ]
