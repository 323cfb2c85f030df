"""Tells the status store how far a job is, which renews its lease and brings back whether to go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from services.common.errors import BackendUnavailable
from services.common.ports import Verdict
from services.common.schemas import Progress
from services.inference.job.lease import JobLease

log = structlog.get_logger(__name__)

BUSY_SECONDS = 0.25  # at most this often, however fast the steps come: clients look once a second
IDLE_SECONDS = 1.0  # at least this often, however slow they are


class Heartbeat:
    """`canceled`, `lost` and `stopped` are plain flags, so that the model thread may read them after every step."""

    def __init__(self, claim: JobLease) -> None:
        self.canceled = False  # the client does not want it any more
        self.lost = False  # the job is not ours any more
        self.stopped = False  # this worker does not want to go on: deadline or shutdown
        self._claim = claim
        self._progress = Progress()
        self._previews = 0
        self._changed = asyncio.Event()
        self._over = False
        self._unwanted: Callable[[], object] = lambda: None

    @property
    def wanted(self) -> bool:
        return not (self.canceled or self.lost or self.stopped)

    def report(self, progress: Progress) -> None:
        """Called on the event loop, for every step."""
        self._progress = progress.model_copy(update={"previews": self._previews})
        self._changed.set()

    def shown(self) -> None:
        """There are new previews."""
        self._previews += 1
        self.report(self._progress)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            self._over = True  # a client library may swallow the cancellation, and the job must not wait for ever
            task.cancel()
            await asyncio.wait([task])

    async def _beat(self) -> None:
        while not self._over:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                self.note(await self._claim.progress(self._progress))
            except BackendUnavailable as exc:
                log.warning("progress not stored", reason=str(exc))
            await asyncio.sleep(BUSY_SECONDS)

    def when_unwanted(self, call: Callable[[], object]) -> None:
        """Have `call` called, on the event loop, when the store says that the job is canceled or lost."""
        self._unwanted = call

    def note(self, verdict: Verdict) -> None:
        """What the store said of the job."""
        self.canceled = self.canceled or verdict is Verdict.CANCEL or self._claim.removed
        self.lost = self.lost or verdict is Verdict.LOST
        if not self.wanted:
            self._unwanted()
