"""The gateway's side of the protocol: a job's way from the request to the queue, and every later request for it.

Knows nothing of HTTP. The order of the writes is the promise: input, record, message, `published`, then the answer.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from services.api.core.history import accepted_jobs
from services.api.core.inputs.decoder import Bounds
from services.api.core.inputs.inputs import Inputs, Sees
from services.api.core.inputs.job_inputs import JobInputs
from services.api.core.inputs.store import InputStore
from services.api.core.job_records import JobRecords
from services.api.core.publisher import Publisher
from services.api.core.queue_capacity import QueueCapacity
from services.common.backends import Backends
from services.common.budget import extend_budget
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import (
    BackendUnavailable,
    IdempotencyMismatch,
    JobFinished,
    JobNotFound,
    QueueFull,
    RecordUnreadable,
    StudioError,
)
from services.common.failpoints import Failpoints
from services.common.ids import is_job_id
from services.common.manifests import Manifests
from services.common.ports import Quota
from services.common.preview_cache import forget_previews, preview_key
from services.common.schemas import State, StatusRecord
from services.common.settings import Settings


class SubmissionObserver(Protocol):
    """A listener to the fate of every valid submission. An invalid one is no job and is not reported."""

    def accepted(self, model: str) -> None: ...

    def replayed(self, model: str) -> None: ...

    def refused(self, model: str, reason: StudioError) -> None: ...


class Gateway:
    def __init__(
        self,
        backends: Backends,
        catalogue: Catalogue,
        settings: Settings,
        failpoints: Failpoints | None = None,
        observer: SubmissionObserver | None = None,
    ) -> None:
        self._backends = backends
        self._manifests = Manifests(backends.objects)
        self._failpoints = failpoints or Failpoints()
        self._records = JobRecords(catalogue, settings, backends.clock)
        store = InputStore(backends.objects, backends.clock, settings.input_ttl_seconds, self._failpoints)
        self.inputs = Inputs(store, Bounds.of(settings), backends.clock)
        self._job_inputs = JobInputs(self.inputs)
        self._observer = observer
        self._capacity = QueueCapacity(backends.broker, settings.queue_limit)
        self._publisher = Publisher(backends, self.read, self._failpoints)

    async def accept(
        self,
        body: Mapping[str, Any],
        *,
        owner: str | None = None,
        idempotency_key: str | None = None,
        quota: Quota | None = None,
        sees: Sees | None = None,
        alike: Mapping[str, Any] | None = None,
    ) -> tuple[StatusRecord, bool]:
        """Accept a job: once this returns, only its own outcome, its expiry or its owner ends it.

        `body` is `{"model"?: name, **parameters}`. The inputs that it names are of owners whom the caller `sees`: the
        job's own, by default. With a key used before, return the job of that request and True; `alike` tells that it
        is the same request where `body` names files that each sending brought anew.
        Raises InvalidRequest, IdempotencyMismatch, IdempotencyInFlight, TooManyJobs, NotAccepted, BackendUnavailable.
        """
        record = self._records.make(body, owner, idempotency_key, alike)
        record = await self._with_inputs(record, sees or (lambda other: other == owner), quota)
        try:
            stored, replayed = await self._store_and_publish(record, quota)
        except StudioError as exc:
            if self._observer:
                self._observer.refused(record.message.model, exc)
            raise
        if self._observer:
            report = self._observer.replayed if replayed else self._observer.accepted
            report(stored.message.model)
        return stored, replayed

    async def _with_inputs(self, record: StatusRecord, sees: Sees, quota: Quota | None) -> StatusRecord:
        """Return the record with its inputs. They are stored and name the job before it has a record."""
        message, contract = record.message, self.model(record.message.model).contract
        if not contract.inputs:
            return record
        party = quota.party if quota else message.owner or ""
        message = await self._job_inputs.attach(message, contract, sees, party)
        self._failpoints.reach("gateway.given")
        return record.model_copy(update={"message": message})

    async def _store_and_publish(self, record: StatusRecord, quota: Quota | None) -> tuple[StatusRecord, bool]:
        # Before anything is written: a broker that does not answer leaves nothing behind.
        has_room = await self._capacity.admit(record.message.model)
        stored = await self._backends.statuses.create(record, quota)
        self._failpoints.reach("gateway.created")
        if stored.job_id != record.job_id:
            if stored.body_hash != record.body_hash:
                raise IdempotencyMismatch
            known = stored.published or stored.state.terminal
            return (stored if known else await self._publisher.publish(stored)), True
        if not has_room:
            self._failpoints.reach("gateway.refused")
            await self._backends.statuses.remove(record.job_id)
            raise QueueFull(record.message.model)
        return await self._publisher.publish(stored, fresh=True), False

    async def publish(self, record: StatusRecord) -> None:
        """Publish a record that a crash left unpublished; a failure leaves it as it is. Raises as `Publisher`."""
        await self._publisher.publish(record)

    async def read(self, job_id: str, wait: float = 0) -> StatusRecord:
        """Return the record; with `wait`, once it is terminal, or as it is after so many seconds.

        Raises JobNotFound, StatusRebuilding or JobRemoved.
        """
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        extend_budget(wait)
        try:
            return await self._backends.statuses.get(job_id, wait)
        except JobNotFound:
            record = await self._manifests.read(job_id)
            if record is None:
                raise
            return record

    async def history(self, owner: str, before: str, limit: int) -> list[StatusRecord]:
        """Return jobs of this owner ("" for jobs without one), the newest first, from those older than `before`.

        A job that was never accepted is no job.
        """
        return await accepted_jobs(self._backends.statuses, owner, before, limit)

    def age(self, record: StatusRecord) -> float:
        """Return the seconds since the job was made."""
        return self._backends.clock() - record.created_at

    async def preview(self, record: StatusRecord, index: int) -> bytes | None:
        """Return the newest preview of one of the job's images; None before the first, or while the cache is down."""
        with suppress(BackendUnavailable):
            return await self._backends.cache.get(preview_key(record.job_id, index))
        return None

    async def cancel(self, job_id: str) -> StatusRecord:
        """Cancel a queued job at once, a running one at its next step. Raises JobFinished; canceling twice is fine."""
        if not is_job_id(job_id):
            raise JobNotFound(job_id)
        try:
            record = await self._backends.statuses.request_cancel(job_id)
        except JobNotFound:
            record = await self.read(job_id)
        if record.state is State.CANCELED:
            self._failpoints.reach("gateway.canceled")
            await self._manifests.write(record)
        elif record.state.terminal:
            raise JobFinished(job_id, record.state)
        return record

    async def remove(self, job_id: str) -> None:
        """Remove the job and its result for good, also one whose record is damaged; a live one is canceled.

        Raises as `read`.
        """
        try:
            record: StatusRecord | None = await self.read(job_id)
        except RecordUnreadable:
            record = None
        await self._manifests.bury(job_id, record.message.owner if record else None)
        self._failpoints.reach("gateway.buried")
        if record is not None and not record.state.terminal:
            with suppress(JobNotFound):  # another request removed it meanwhile
                await self._backends.statuses.request_cancel(job_id)
            self._failpoints.reach("gateway.ended")
        await self._backends.statuses.remove(job_id)
        self._failpoints.reach("gateway.forgotten")
        if record is not None:
            await forget_previews(self._backends.cache, record)
            await self.inputs.store.release(record.message)
        await self._manifests.clear(job_id)

    def model(self, name: object) -> Model:
        """Return the model of this name, or the default one for a request without a name. Raises ModelNotFound."""
        return self._records.model(name)
