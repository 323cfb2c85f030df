"""The end of a job whose message no worker understands."""

import asyncio
from typing import Final

import structlog

from services.common.backends import Backends
from services.common.errors import BackendUnavailable, InvalidMessage, JobNotFound, StorageDenied
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome
from services.common.schemas import JobError, State

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 1.0  # before the delivery is requeued


async def end_unreadable(backends: Backends, fault: InvalidMessage) -> None:
    """End the job as failed, where the message says which job it is. Raise BackendUnavailable, after a pause."""
    try:
        if fault.job_id is not None:
            await _fail(backends, fault.job_id)
    except StorageDenied:
        log.exception("manifest not written, the job is known for as long as its record is")
    except BackendUnavailable:
        await asyncio.sleep(RETRY_SECONDS)  # as for every other delivery that is requeued
        raise


async def _fail(backends: Backends, job_id: str) -> None:
    told = "no worker understands the job's message, which is among the dead letters: ask the operator"
    error = JobError(code="invalid-message", message=told)
    await backends.statuses.finish(Lease.of_gateway(job_id), Outcome(State.FAILED, error=error))
    try:
        record = await backends.statuses.get(job_id)
    except JobNotFound:
        return
    if record.state.terminal:
        await Manifests(backends.objects).write(record)
