"""The caller's view of the jobs: another caller's job is answered like one that does not exist."""

from typing import Any

from starlette.requests import Request

from services.api.auth.caller import Caller, caller_of
from services.api.core.gateway import Gateway
from services.common.errors import JobNotFound, JobRemoved
from services.common.schemas import StatusRecord

JOB_PROBLEMS = ("job-not-found", "job-removed", "status-rebuilding", "backend-unavailable")


class OwnJobs:
    """The jobs of a gateway that one caller may see. Raises as `Gateway`, and JobNotFound for all others."""

    def __init__(self, gateway: Gateway, caller: Caller) -> None:
        self._gateway = gateway
        self._caller = caller

    async def read(self, job_id: str, wait: float = 0) -> StatusRecord:
        # Checked before waiting: a request that is kept waiting would reveal that the job exists.
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
    """Return the jobs of the request's caller."""
    return OwnJobs(request.state["gateway"], caller_of(request))
