"""`studio health`: asks the gateway or worker on this machine whether it is ready, as curl would in a container."""

import asyncio
from typing import Final, Literal

from services.common.network.addresses import GATEWAY, WORKER, http_url, is_ours
from services.common.settings import Settings

DEADLINE_SECONDS = 4.0  # the gateway gives each of its backends 2 s
SHOWN: Final = 500  # characters of an answer

Service = Literal["gateway", "worker"]


class NotReady(Exception):
    """The process does not answer, or answers that it is not ready; exit code 1."""


async def ask_health(settings: Settings, service: Service) -> None:
    """Return if /readyz of the gateway or worker on this machine answers 200 in time.

    Raises NotReady with its answer, or when another program answers; ValueError when the worker has no port to be
    asked on.
    """
    import httpx2

    host, port, name = settings.host, settings.port, GATEWAY
    if service == "worker":
        host, port, name = settings.worker_host, settings.worker_port, WORKER
        if port == 0:
            raise ValueError(
                "STUDIO_WORKER_PORT is 0, so the worker cannot be asked: set it to a port, here and for the worker"
            )
    url = f"{http_url(host, port)}/readyz"
    try:
        # The environment's proxy does not apply on this machine.
        async with asyncio.timeout(DEADLINE_SECONDS), httpx2.AsyncClient(trust_env=False, timeout=None) as client:
            response = await client.get(url)
    except (httpx2.RequestError, TimeoutError) as exc:
        raise NotReady(f"{url}: {str(exc) or 'no answer in time'}") from exc
    if response.status_code != 200 or not is_ours(response.content, name):
        media_type = response.headers.get("Content-Type", "no type")
        raise NotReady(f"{url}: {_told(service, response.status_code, media_type, response.text)}")


def _told(service: Service, status: int, media_type: str, text: str) -> str:
    """Return the answer if it may be the service's own, else what it is instead."""
    if status != 200 and "json" in media_type:
        return f"{status} {text[:SHOWN]}"
    return f"this is no {service} of this program: it answers {status} ({media_type})"
