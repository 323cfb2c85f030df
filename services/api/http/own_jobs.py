"""The caller's view of the jobs: another caller's job is answered like one that does not exist."""

from typing import Any, Final

from starlette.requests import Request

from services.api.auth.caller import Caller, caller_of
from services.api.core.gateway import Gateway
from services.api.core.job_summary import JobSummary
from services.api.core.waiting_clients import WaitingClients
from services.common.errors import JobNotFound, JobRemoved
from services.common.schemas import StatusRecord

JOB_PROBLEMS = ("job-not-found", "job-removed", "status-rebuilding", "backend-unavailable")
_POLLS_LATE: Final = 3.0  # a client that is later than so many polls counts as gone


class OwnJobs:
    """The jobs of a gateway that one caller may see. Raises as `Gateway`, and JobNotFound for all others.

    A caller that polls, every `poll_seconds`, or waits is one of the `clients` for which a job goes on.
    """

    def __init__(self, gateway: Gateway, clients: WaitingClients, caller: Caller, poll_seconds: float) -> None:
        self._gateway = gateway
        self._clients = clients
        self._caller = caller
        self._poll_seconds = poll_seconds

    async def read(self, job_id: str, wait: float = 0) -> StatusRecord:
        # Checked before waiting: a request that is kept waiting would reveal that the job exists.
        record = await self._checked(job_id, 0)
        next_poll = JobSummary(record).next_poll(self._poll_seconds)
        if next_poll is None:
            return record
        await self._clients.watch(record, wait + _POLLS_LATE * next_poll)
        return await self._checked(job_id, wait) if wait else record

    async def cancel(self, job_id: str) -> StatusRecord:
        if self._caller.key is not None:
            await self._checked(job_id, 0)
        return await self._gateway.cancel(job_id)

    async def remove(self, job_id: str) -> None:
        """Remove the job. One whose record is damaged has no known owner: an operator may remove it."""
        if self._caller.key is not None and not self._caller.operator:
            await self._checked(job_id, 0)
        await self._gateway.remove(job_id)

    async def _checked(self, job_id: str, wait: float) -> StatusRecord:
        try:
            record = await self._gateway.read(job_id, wait)
        except JobRemoved as exc:
            if self._caller.sees(exc.owner):
                raise
            raise JobNotFound(job_id) from exc
        if not self._caller.sees(record.message.owner):
            raise JobNotFound(job_id)
        return record


def own_jobs(request: Request[Any]) -> OwnJobs:
    """Return the jobs of the request's caller."""
    state = request.state
    return OwnJobs(state["gateway"], state["clients"], caller_of(request), state["settings"].poll_seconds)
