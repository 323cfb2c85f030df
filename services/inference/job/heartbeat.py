"""The heartbeat of a job: it stores progress, which renews the lease, and learns whether to go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from services.common.errors import BackendUnavailable
from services.common.ports import Verdict
from services.common.schemas import Progress
from services.inference.job.lease import JobLease

log = structlog.get_logger(__name__)

BUSY_SECONDS = 0.25  # between two writes at the least, however fast the steps: clients poll once a second
IDLE_SECONDS = 1.0  # and at the most, however slow the steps


class Heartbeat:
    """Its flags are plain attributes, so that the model thread may read them after every step."""

    def __init__(self, lease: JobLease) -> None:
        self.canceled = False  # the client canceled the job
        self.lost = False  # another worker has the lease, or the job is over
        self.stopped = False  # this worker gives the job up: deadline or shutdown
        self._lease = lease
        self._progress = Progress()
        self._previews = 0
        self._changed = asyncio.Event()
        self._over = False
        self._unwanted: Callable[[], object] = lambda: None

    @property
    def wanted(self) -> bool:
        return not (self.canceled or self.lost or self.stopped)

    def report(self, progress: Progress) -> None:
        """Note the progress of a step; to be called on the event loop."""
        self._progress = progress.model_copy(update={"previews": self._previews})
        self._changed.set()

    def shown(self) -> None:
        """Note that new previews are stored."""
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
                self.note(await self._lease.progress(self._progress))
            except BackendUnavailable as exc:
                log.warning("progress not stored", reason=str(exc))
            await asyncio.sleep(BUSY_SECONDS)

    def when_unwanted(self, call: Callable[[], object]) -> None:
        """Call `call` on the event loop when the store says that the job is canceled or lost."""
        self._unwanted = call

    def note(self, verdict: Verdict) -> None:
        """Note the verdict of the status store on the job."""
        self.canceled = self.canceled or verdict is Verdict.CANCEL or self._lease.removed
        self.lost = self.lost or verdict is Verdict.LOST
        if not self.wanted:
            self._unwanted()
