"""A worker's lease of one job in the status store, which survives the loss of the record.

If the store was emptied, the record is made again from the message, unless there is a manifest. `progress` and
`finish` outlast an unavailable store by trying again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import stamina
import structlog

from services.common.backends import Backends
from services.common.errors import (
    BackendUnavailable,
    JobNotFound,
    JobRemoved,
    NewerVersion,
    RecordUnreadable,
    StorageDenied,
)
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome, Renewal, Verdict
from services.common.schemas import JobMessage, Progress, State, StatusRecord

log = structlog.get_logger(__name__)

DENIED_SECONDS: Final = 10.0  # credentials may be changing at this moment
REMAKE_SECONDS: Final = 3.0  # within which the heartbeat of a job makes a record again that the store has lost
LOOK_SECONDS: Final = 1.0  # between two looks at another worker's lease, which is renewed about as often


def storage_retry() -> Callable[[Exception], bool]:
    """Return stamina's condition to retry: an unavailable object store always, one that denies access for 10 s."""
    until = time.monotonic() + DENIED_SECONDS

    def worth_waiting(exc: Exception) -> bool:
        return isinstance(exc, BackendUnavailable) and not (isinstance(exc, StorageDenied) and time.monotonic() > until)

    return worth_waiting


def _passes(exc: Exception) -> bool:
    lasting = isinstance(exc, NewerVersion | RecordUnreadable | StorageDenied)
    return isinstance(exc, BackendUnavailable) and not lasting


class JobLease:
    def __init__(self, backends: Backends, message: JobMessage, *, silent_seconds: float) -> None:
        self.message = message
        self.lease = Lease(message.job_id, message.message_id)
        self.removed = False  # the job was removed while this worker made it
        self._silent_seconds = silent_seconds
        self._statuses = backends.statuses
        self._manifests = Manifests(backends.objects)

    async def wait_for_holder(self) -> bool:
        """Wait while another attempt at the job holds its lease; return whether the job is over then.

        A message is delivered again when its connection is lost, and the worker behind it may live. Its heartbeat
        renews the lease in the store. A lease that this worker sees unchanged for `silent_seconds`, while the store
        answers, is of a worker that died or stands still: `begin` takes it over. No clocks are compared for it, and
        an outage of the store lets no lease run out.
        """
        seen, since, missing = None, time.monotonic(), False
        while True:
            asked = time.monotonic()
            try:
                record = await self._statuses.get(self.message.job_id, LOOK_SECONDS if seen else 0)
            except JobNotFound:
                if missing:
                    return False
                seen, missing = None, True
                await asyncio.sleep(REMAKE_SECONDS)
                continue
            except BackendUnavailable as exc:
                if not _passes(exc):
                    return False  # `begin` tells it
                seen = None
                await asyncio.sleep(LOOK_SECONDS)
                continue
            renewal = Renewal.of(record)
            if renewal is None:
                return record.state.terminal
            if renewal != seen:
                seen, since = renewal, time.monotonic()
            elif asked - since >= self._silent_seconds:
                self.lease = replace(self.lease, silent=renewal)
                return False

    async def begin(self) -> Verdict:
        """Return HELD, CANCEL, EXHAUSTED, DUPLICATE, BUSY or LOST. Wait for as long as the store is unavailable.

        Raise NewerVersion, RecordUnreadable or StorageDenied at once: they last, and other jobs wait behind this one.
        """
        return await self._patiently(self._begin, _passes)

    async def progress(self, progress: Progress) -> Verdict:
        """Return HELD, CANCEL or LOST. Raise BackendUnavailable, since the next progress supersedes this one."""
        return await self._recovering(lambda: self._statuses.progress(self.lease, progress))

    async def finish(self, outcome: Outcome) -> Verdict:
        """Return HELD or LOST. Wait for as long as the store is unavailable."""
        return await self._patiently(lambda: self._recovering(lambda: self._statuses.finish(self.lease, outcome)))

    async def attempts(self) -> int:
        """Return the number of attempts, from the record if the store answers at once, else 1."""
        try:
            return (await self._statuses.get(self.message.job_id)).attempt
        except (BackendUnavailable, JobNotFound):
            return 1

    async def archive(self, outcome: Outcome) -> None:
        """Write the manifest of the job this worker ended; delete its artifacts instead if the job was removed."""
        async for attempt in stamina.retry_context(on=BackendUnavailable, attempts=None, timeout=60, wait_max=5):
            with attempt:
                await self._archive(outcome)

    async def restore(self) -> StatusRecord | None:
        """Return the record of a job that is over already, and write its manifest if a crash prevented that."""
        async for attempt in stamina.retry_context(on=BackendUnavailable, attempts=None, timeout=60, wait_max=5):
            with attempt:
                return await self._restore()
        return None

    async def clear(self) -> None:
        """Delete the artifacts of a job that was removed."""
        await self._manifests.clear(self.message.job_id)

    async def _archive(self, outcome: Outcome) -> None:
        try:
            record = await self._statuses.get(self.message.job_id)
        except JobNotFound:
            try:
                record = await self._manifests.read(self.message.job_id) or self._record(outcome)
            except JobRemoved:
                await self.clear()
                return
        await self._write(record)

    async def _write(self, record: StatusRecord) -> None:
        try:
            async for attempt in stamina.retry_context(on=storage_retry(), attempts=None, timeout=60, wait_max=5):
                with attempt:
                    await self._manifests.write(record)
        except StorageDenied:
            if record.state is State.SUCCEEDED:
                raise  # its artifacts are stored, so the manifest is worth another try when the permissions are mended
            # Nothing else is kept of the job, and the store denies every job: their messages are not requeued for it.
            log.exception("manifest not written, the job is known for as long as its record is")

    def _record(self, outcome: Outcome) -> StatusRecord:
        """Return the record that the store forgot between `finish` and the manifest, as far as it is known here."""
        return StatusRecord(
            job_id=self.message.job_id,
            state=outcome.state,
            message=self.message,
            published=True,
            created_at=self.message.created_at,
            finished_at=time.time(),
            attempt=1,
            artifacts=outcome.artifacts,
            error=outcome.error,
            warnings=outcome.warnings,
        )

    async def _restore(self) -> StatusRecord | None:
        try:
            record = await self._manifests.read(self.message.job_id)
            if record is None:
                record = await self._statuses.get(self.message.job_id)
                if record.state.terminal:
                    await self._write(record)
        except (JobRemoved, JobNotFound):
            return None
        return record

    async def _patiently(
        self,
        call: Callable[[], Awaitable[Verdict]],
        on: Callable[[Exception], bool] | type[BackendUnavailable] = BackendUnavailable,
    ) -> Verdict:
        async for attempt in stamina.retry_context(on=on, attempts=None, timeout=None, wait_max=5):
            with attempt:
                return await call()
        raise AssertionError("stamina retries without end")

    async def _begin(self) -> Verdict:
        try:
            verdict = await self._statuses.begin(self.message, self.lease)
        except BackendUnavailable:
            # A store that takes no writes keeps a living holder from renewing its lease, which is watched anew.
            self.lease = replace(self.lease, silent=None)
            raise
        return await self._recreate() if verdict is Verdict.MISSING else verdict

    async def _recovering(self, call: Callable[[], Awaitable[Verdict]]) -> Verdict:
        verdict = await call()
        if verdict is not Verdict.MISSING:
            return verdict
        verdict = await self._recreate()
        return await call() if verdict.gives_lease else Verdict.LOST

    async def _recreate(self) -> Verdict:
        try:
            if await self._manifests.read(self.message.job_id) is not None:
                return Verdict.LOST
        except JobRemoved:
            self.removed = True
            return Verdict.LOST
        return await self._statuses.begin(self.message, self.lease, recreate=True)
