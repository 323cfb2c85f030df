"""One model's queue at one moment: its jobs, its workers, and estimates of the time a job takes."""

import math
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean
from typing import Final, Self

from services.common.catalogue.catalogue import Model
from services.common.modalities.modality import Cost
from services.common.modalities.registry import cost_of, count_of
from services.common.presence import Pace, Presence
from services.common.schemas import JobMessage, State, StatusRecord

LEAST_SPREAD: Final = 0.1  # no two jobs take the same time
MOST_SPREAD: Final = 0.5


@dataclass(frozen=True)
class Eta:
    """Seconds from now until a job is expected to finish, at best and at worst."""

    low: float
    high: float

    @classmethod
    def of(cls, low: float, high: float) -> Self:
        """Round to tenths below ten seconds and to whole seconds above: finer values would only flicker."""
        digits = 10 if high < 10 else 1
        exact = round(low * digits, 6), round(high * digits, 6)  # 2.2 is no reason to say 2.3
        return cls(math.floor(exact[0]) / digits, math.ceil(exact[1]) / digits)


@dataclass(frozen=True, slots=True)
class LiveJob:
    """The few facts a queue needs of a job: there may be thousands, so the records are not kept.

    `work` is the number of units left for all its items together, which take equally long in one `bucket`.
    """

    job_id: str
    queued: bool
    bulk: bool
    created_at: float
    bucket: str
    work: float

    @classmethod
    def of(cls, record: StatusRecord) -> Self:
        cost, progress = cost_of(record.message), record.progress
        done = progress.step / progress.total if progress and progress.total else 0.0
        work = cost.units * count_of(record.message) * (1 - min(done, 1.0))
        queued = record.state is State.QUEUED
        return cls(record.job_id, queued, record.bulk, record.created_at, sys.intern(cost.bucket), work)


class ModelQueue:
    """`jobs` are the model's live ones in order of their ids, `workers` those that reported lately.

    Queued bulk jobs come after all others.
    """

    def __init__(
        self,
        model: Model,
        jobs: Sequence[LiveJob],
        workers: Sequence[Presence],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.model = model
        self._clock = clock
        self._ids = [job.job_id for job in jobs]
        in_turn = sorted(jobs, key=lambda job: job.bulk and job.queued)
        self._places = {job.job_id: place for place, job in enumerate(in_turn)}
        self.queued = sum(job.queued for job in jobs)
        self.running = len(jobs) - self.queued
        self._oldest = next((job.created_at for job in jobs if job.queued), None)
        self.workers = workers
        self._paces = _merged([worker for worker in workers if worker.takes_jobs])
        # Seconds of one worker that the jobs before each place take together, nan from the first unknown one on.
        self._seconds = [0.0, *accumulate(self._remaining(job) for job in in_turn)]
        self._load_seconds = min((worker.load_seconds for worker in workers if worker.takes_jobs), default=0.0)
        self._beside = 0.0  # seconds of the jobs of other models

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._places

    @property
    def oldest_seconds(self) -> float | None:
        """The waiting time of the oldest queued job in seconds; None without one."""
        return None if self._oldest is None else max(0.0, self._clock() - self._oldest)

    @property
    def taking_jobs(self) -> int:
        """The number of workers that are loaded and not stopping."""
        return sum(worker.takes_jobs for worker in self.workers)

    @property
    def loading(self) -> bool:
        """True while no worker can begin a job and one is loading."""
        return not self.taking_jobs and any(worker.phase == "loading" for worker in self.workers)

    def share_workers(self, queues: Iterable["ModelQueue"]) -> None:
        """Count the jobs of all other models that a worker of this one serves: they may come before one of its own."""
        ours = {worker.worker_id for worker in self.workers if worker.takes_jobs}
        shared = (each for each in queues if ours & {worker.worker_id for worker in each.workers if worker.serves})
        self._beside = sum(each.seconds_left for each in shared if each is not self)

    @property
    def seconds_left(self) -> float:
        """The seconds until all jobs are done, nan if unknown; 0 without jobs."""
        return self._load_seconds + self._seconds[-1] / max(1, self.taking_jobs) if self._ids else 0.0

    def position(self, job_id: str) -> int:
        """Return the number of live jobs before this one; for an unknown job, of those with an earlier id."""
        known = self._places.get(job_id)
        return bisect_left(self._ids, job_id) if known is None else known

    def eta(self, message: JobMessage | None = None) -> Eta | None:
        """Estimate this job, or one with the model's defaults behind all others; None if unknown."""
        ahead = len(self._ids) if message is None else self.position(message.job_id)
        cost, count = self._usual if message is None else (cost_of(message), count_of(message))
        workers, waiting, pace = self.taking_jobs, self._seconds[ahead], self._paces.get(cost.bucket)
        if pace is None or not workers or math.isnan(waiting + self._beside):
            return None
        own = _own_seconds(cost, count, pace)
        begun = own if ahead else 0.0  # the call under way, which the job cannot join
        low = self._load_seconds + waiting / workers + own
        high = low + begun + self._beside
        return Eta.of(low * (1 - pace.spread), high * (1 + pace.spread))

    def typical_seconds(self) -> float | None:
        """Return the seconds that a job with the model's defaults takes without waiting; None if unknown."""
        pace = self._paces.get(self._usual[0].bucket)
        return None if pace is None else _own_seconds(*self._usual, pace)

    @property
    def _usual(self) -> tuple[Cost, int]:
        """The cost of an item, and their number, of a job with the model's defaults."""
        contract, defaults = self.model.contract, self.model.defaults
        return contract.cost(defaults, {}), contract.count(defaults)

    def _remaining(self, job: LiveJob) -> float:
        pace = self._paces.get(job.bucket)
        return math.nan if pace is None else pace.each * job.work


def _own_seconds(cost: Cost, count: int, pace: Pace) -> float:
    return cost.units * max(pace.call, pace.each * count)


def _merged(workers: Sequence[Presence]) -> dict[str, Pace]:
    """Return for each size the mean pace of the workers that have made it, with the widest of their spreads."""
    sizes = {size for worker in workers for size in worker.paces}
    return {size: _mean([worker.paces[size] for worker in workers if size in worker.paces]) for size in sizes}


def _mean(paces: Sequence[Pace]) -> Pace:
    spread = min(max(LEAST_SPREAD, *(pace.spread for pace in paces)), MOST_SPREAD)
    return Pace(call=fmean(pace.call for pace in paces), each=fmean(pace.each for pace in paces), spread=spread)
