"""Files of finished jobs, as downloads of a gateway in this process."""

import asyncio
from typing import Any, Final

import httpx2

from tests.support.fakes import FakeWorker
from tests.support.live_server import LiveGateway

SECONDS: Final = 20.0


def finished(gateway: LiveGateway, data: bytes) -> str:
    """Return the path of this file, the artifact of a finished job."""
    job_id = ask(gateway, "POST", "/v1/jobs", json={"prompt": "mug"}).json()["id"]
    store(gateway, job_id, data)
    return f"/v1/jobs/{job_id}/artifacts/0"


def store(gateway: LiveGateway, job_id: str, data: bytes) -> None:
    """Finish the job with this file."""
    storing = FakeWorker(gateway.backends).succeed(job_id, data)
    asyncio.run_coroutine_threadsafe(storing, gateway.loop).result(SECONDS)


def ask(gateway: LiveGateway, method: str, path: str, caller: int = 200, **given: Any) -> httpx2.Response:
    """Send a request, as the caller of this number where the gateway believes its proxy."""
    headers = {"X-Forwarded-For": f"203.0.113.{caller}"}
    with httpx2.Client(base_url=gateway.url, timeout=SECONDS, headers=headers) as client:
        return client.request(method, path, **given)
