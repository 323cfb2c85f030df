"""The jobs of whoever asks: another's are not there, which is all that is said of them."""

from typing import Any

from starlette.requests import Request

from services.api.auth.caller import Caller, caller_of
from services.api.core.gateway import Gateway
from services.common.errors import JobNotFound, JobRemoved
from services.common.schemas import StatusRecord

JOB_PROBLEMS = ("job-not-found", "job-removed", "status-rebuilding", "backend-unavailable")


class OwnJobs:
    """A gateway's jobs as far as a caller sees them. Raises as `Gateway`, JobNotFound for those it does not see."""

    def __init__(self, gateway: Gateway, caller: Caller) -> None:
        self._gateway = gateway
        self._caller = caller

    async def read(self, job_id: str, wait: float = 0) -> StatusRecord:
        # Looked at before waiting: that one is kept waiting would tell that there is a job.
        if wait and self._caller.key is not None:
            await self._checked(job_id, 0)
        return await self._checked(job_id, wait)

    async def cancel(self, job_id: str) -> StatusRecord:
        if self._caller.key is not None:
            await self._checked(job_id, 0)
        return await self._gateway.cancel(job_id)

    async def remove(self, job_id: str) -> None:
        if self._caller.key is not None:
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
    """Those of the request's caller."""
    return OwnJobs(request.state["gateway"], caller_of(request))
