"""Has a client wait for the job of its request, as OpenAI's do: they know no jobs, hang up, and send requests again."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, Request

from services.api.auth.caller import caller_of
from services.api.core.waiting_clients import Sending
from services.api.http.requests.waiting import while_client_waits
from services.api.http.state import AppState
from services.common.budget import time_budget
from services.common.errors import StudioError
from services.common.ports import Quota
from services.common.schemas import State, StatusRecord

log = structlog.get_logger(__name__)

RETRIES: Final = "x-stainless-retry-count"  # how often OpenAI's client sent this request before
_SPARE_SECONDS: Final = 60.0  # beside the wait, for which an earlier sending can be found


async def accept(
    request: Request[AppState],
    job: Mapping[str, Any],
    body: Mapping[str, Any],
    key: str | None,
    quota: Quota,
    alike: Mapping[str, Any] | None = None,
) -> tuple[StatusRecord, Sending | None]:
    """Accept the job, or find the one of an earlier sending of this request. Raises as `Gateway.accept`.

    The sending is None for a request with an Idempotency-Key: its job goes on without its client.
    """
    clients, caller = request.state["clients"], caller_of(request)
    take = partial(request.state["gateway"].accept, job, owner=caller.owner, quota=quota, sees=caller.sees, alike=alike)
    if key is not None:
        return (await take(idempotency_key=key))[0], None
    said = json.dumps([caller.party, caller.owner, body], sort_keys=True).encode()
    seconds = request.state["settings"].image_wait_seconds + _SPARE_SECONDS
    while True:
        sending = await clients.sending(hashlib.sha256(said).hexdigest(), _sent_before(request), seconds)
        record, known = await take(idempotency_key=sending.key)
        if not known or not (record.cancel_requested or record.state is State.CANCELED):
            return record, sending
        await clients.forget(sending)  # canceled a moment ago, when the client seemed to have left


async def until_over(request: Request[AppState], record: StatusRecord, sending: Sending | None) -> StatusRecord:
    """Return the job once it is over, or as it is after the longest wait. Raises as `Gateway.read`.

    Raises ClientDisconnect when the client hangs up first; then the job is canceled if it is for no other client.
    """
    seconds = request.state["settings"].image_wait_seconds
    reading = request.state["gateway"].read(record.job_id, seconds)
    try:
        return await while_client_waits(request, reading)
    except ClientDisconnect:
        with time_budget(None):  # no client waits for this
            await _cancel(request, record.job_id, sending)
        raise


async def _cancel(request: Request[AppState], job_id: str, sending: Sending | None) -> None:
    clients = request.state["clients"]
    if sending is None or not await clients.have_left(sending, job_id):
        log.info("client hung up, its job goes on", job_id=job_id)
        return
    await clients.forget(sending)  # first: a request that is sent again from now on makes a new job
    try:
        await request.state["gateway"].cancel(job_id)
    except StudioError as exc:
        log.info("client hung up, its job is not canceled", job_id=job_id, reason=str(exc))
    else:
        log.info("client hung up, its job is canceled", job_id=job_id)


def _sent_before(request: Request[AppState]) -> int | None:
    given = request.headers.get(RETRIES, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 4 else None
