"""`Prefer: wait` on /v1/jobs, through HTTP."""

import asyncio
from contextlib import aclosing

import httpx2
import pytest

from services.common.backends import Backends
from services.common.schemas import JobMessage
from tests.api.v1.test_jobs import MUG, submit
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio


async def test_waiting_client_gets_the_finished_job(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """`Prefer: wait` answers 200 with the result when the job ends in time."""

    async def work() -> None:
        async with aclosing(backends.broker.consume("studio-tiny", 1)) as deliveries, await anext(deliveries) as body:
            await worker.succeed(JobMessage.decode(body).job_id, b"picture")

    working = asyncio.create_task(work())
    response = await client.post("/v1/jobs", json=MUG, headers={"Prefer": "respond-async, wait=20"})
    await working

    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=20"
    assert response.json()["state"] == "succeeded"
    assert "Retry-After" not in response.headers


async def test_waiting_ends_with_202_when_the_job_takes_longer(client: httpx2.AsyncClient) -> None:
    """`Prefer: wait` with respond-async falls back to 202 when the time is over."""
    response = await client.post("/v1/jobs", json=MUG, headers={"Prefer": "wait=0; x=1, respond-async, foo=bar"})

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=0, respond-async"
    assert response.json()["state"] == "queued"


async def test_replay_is_not_waited_for(client: httpx2.AsyncClient) -> None:
    """A key used before is answered at once, and does not say that it waited."""
    headers = {"Prefer": "wait=20, respond-async", "Idempotency-Key": "k"}
    await client.post("/v1/jobs", json=MUG, headers={"Idempotency-Key": "k"})
    async with asyncio.timeout(5):
        again = await client.post("/v1/jobs", json=MUG, headers=headers)

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.headers["Preference-Applied"] == "respond-async"


async def test_poll_may_wait_too(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A GET with `Prefer: wait` answers as soon as the job is over, and caps what it promises at 30 s."""
    job_id = await submit(client)
    polling = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=9999"}))
    await asyncio.sleep(0.1)
    still_waiting = not polling.done()
    await worker.succeed(job_id, b"picture")

    response = await polling

    assert still_waiting
    assert response.json()["state"] == "succeeded"
    assert response.headers["Preference-Applied"] == "wait=30"
