"""Steps 2 and 3 of accepting a job: publish its message, then set `published` in its record."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from services.common.backends import Backends
from services.common.budget import extend_budget, time_left
from services.common.errors import BackendUnavailable, IdempotencyInFlight, NotAccepted, PublishUnconfirmed
from services.common.failpoints import Failpoints
from services.common.ports import Lease, Outcome, Verdict
from services.common.schemas import JobError, JobMessage, State, StatusRecord
from services.common.statuses.acceptance import NOT_ACCEPTED, is_given_up

log = structlog.get_logger(__name__)

# Two attempts together stay below the 3 s within which every endpoint answers, whatever hangs.
PUBLISH_SECONDS = 1.2
# A request whose record is written has so much more time, and keeps some for the write that says how it ended.
MORE_SECONDS: Final = 0.4
ENDING_SECONDS: Final = 0.25
LEAST_SECONDS: Final = 0.1  # a broker in order confirms in less


class Publisher:
    """`read` is `Gateway.read`."""

    def __init__(
        self, backends: Backends, read: Callable[[str], Awaitable[StatusRecord]], failpoints: Failpoints
    ) -> None:
        self._backends = backends
        self._read = read
        self._failpoints = failpoints
        self._publishing: set[str] = set()

    async def publish(self, record: StatusRecord, *, fresh: bool = False) -> StatusRecord:
        """Put the record's message on its queue and mark it published.

        A failure gives up a `fresh` record: no client was told of it yet. Any other job may have been accepted
        before, and not even the record can tell (see `_confirm`): it is left for the next attempt.
        Raises IdempotencyInFlight, NotAccepted, PublishUnconfirmed, BackendUnavailable.
        """
        if record.job_id in self._publishing:
            raise IdempotencyInFlight
        self._publishing.add(record.job_id)
        extend_budget(MORE_SECONDS)
        try:
            await self._publish_twice_at_most(record.message, bulk=record.bulk)
            self._failpoints.reach("gateway.published")
            return await self._confirm(record)
        except NotAccepted:
            self._failpoints.reach("gateway.refused")
            if fresh:
                await self._backends.statuses.remove(record.job_id)
            raise
        except PublishUnconfirmed as exc:
            self._failpoints.reach("gateway.unconfirmed")
            if not fresh:
                raise
            return await self._disown(record, exc)
        finally:
            self._publishing.discard(record.job_id)

    async def _publish_twice_at_most(self, message: JobMessage, *, bulk: bool) -> None:
        """Publish, and repeat an unanswered publish under the same message id: it may have arrived."""
        for last in (False, True):
            try:
                async with asyncio.timeout(_try_seconds(1 if last else 2)):
                    await self._backends.broker.publish(message, bulk=bulk)
                    return
            except NotAccepted as exc:
                if last:  # this attempt was refused, not the one before
                    raise PublishUnconfirmed(exc) from exc
                raise
            except (TimeoutError, BackendUnavailable) as exc:
                if last:
                    raise PublishUnconfirmed(exc) from exc
                log.warning("publish unconfirmed, once more", job_id=message.job_id, reason=str(exc))

    async def _confirm(self, record: StatusRecord) -> StatusRecord:
        confirmed = record.model_copy(update={"published": True})
        try:
            confirmed = await self._backends.statuses.create(confirmed)
        except BackendUnavailable as exc:
            # The message is durable, so the job is accepted; the worker's `begin` sets the flag as well.
            log.warning("job published, record not confirmed", job_id=record.job_id, reason=str(exc))
        self._failpoints.reach("gateway.confirmed")
        if is_given_up(confirmed):
            raise PublishUnconfirmed("given up by the request that made it")
        return confirmed

    async def _disown(self, record: StatusRecord, reason: PublishUnconfirmed) -> StatusRecord:
        """Cancel the job, so that its message, if it arrived after all, never runs.

        A job that already runs, or that another gateway confirmed to its client, was accepted: return its record.
        """
        told = "the queue did not confirm the job in time: submit it again"
        error = JobError(code=NOT_ACCEPTED, message=told, retryable=True)
        outcome = Outcome(State.CANCELED, error=error, release_key=True)
        verdict = await self._backends.statuses.finish(Lease.of_gateway(record.job_id), outcome)
        if verdict is Verdict.HELD:
            raise reason
        found = await self._read(record.job_id)
        if is_given_up(found):  # by this very call, whose first answer was lost
            raise reason
        return found


def _try_seconds(tries_left: int) -> float:
    """Return how long the next try may take, when so many are left."""
    return min(PUBLISH_SECONDS, max((time_left() - ENDING_SECONDS) / tries_left, LEAST_SECONDS))
