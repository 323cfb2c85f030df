"""Idempotency-Key on /v1/jobs, through HTTP."""

import asyncio

import httpx2
import pytest

from services.common.backends import Backends
from tests.api.v1.test_jobs import MUG

pytestmark = pytest.mark.anyio


async def test_key_is_replayed(client: httpx2.AsyncClient, backends: Backends) -> None:
    """The same Idempotency-Key and body, quoted or bare, answers with the same job and makes no second one."""
    first = await client.post("/v1/jobs", json=MUG, headers={"Idempotency-Key": '"a \\"key\\""'})
    again = await client.post("/v1/jobs", json=MUG, headers={"Idempotency-Key": '"a \\"key\\""'})
    quoted = await client.post("/v1/jobs", json=MUG, headers={"Idempotency-Key": '"key"'})
    bare = await client.post("/v1/jobs", json=MUG, headers={"Idempotency-Key": "key"})

    assert {answer.status_code for answer in (first, again, quoted, bare)} == {202}
    assert again.json()["id"] == first.json()["id"] != quoted.json()["id"] == bare.json()["id"]
    assert again.headers["Location"] == first.headers["Location"]
    replays = [answer.headers.get("Idempotency-Replayed") for answer in (first, again, quoted, bare)]
    assert replays == [None, "true", None, "true"]
    assert len(await backends.statuses.list()) == 2


async def test_key_with_another_body_is_refused(client: httpx2.AsyncClient, backends: Backends) -> None:
    """The same Idempotency-Key with another body is 422."""
    headers = {"Idempotency-Key": '"key"'}
    await client.post("/v1/jobs", json=MUG, headers=headers)

    response = await client.post("/v1/jobs", json={"prompt": "a plate"}, headers=headers)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency-mismatch")
    assert len(await backends.statuses.list()) == 1


async def test_concurrent_requests_with_one_key_make_one_job(client: httpx2.AsyncClient, backends: Backends) -> None:
    """Requests racing with one key answer 202 with one id, or 409; one job is made."""
    headers = {"Idempotency-Key": '"key"'}
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=MUG, headers=headers) for _ in range(8)))

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 409)
    assert len(await backends.statuses.list()) == 1
    assert await backends.broker.depth("studio-tiny") == 1
