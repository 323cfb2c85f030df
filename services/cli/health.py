"""`studio health`: asks the gateway or worker on this machine whether it is ready, as curl would in a container."""

import asyncio
from typing import Literal

from services.common.addresses import http_url
from services.common.settings import Settings

DEADLINE_SECONDS = 4.0  # the gateway gives each of its backends 2 s

Service = Literal["gateway", "worker"]


class NotReady(Exception):
    """The process does not answer, or answers that it is not ready; exit code 1."""


async def ask_health(settings: Settings, service: Service) -> None:
    """Return if /readyz of the gateway or worker on this machine answers 200 in time.

    Raises NotReady with its answer, ValueError when the worker has no port to be asked on.
    """
    import httpx2

    host, port = settings.host, settings.port
    if service == "worker":
        host, port = settings.worker_host, settings.worker_port
        if port == 0:
            raise ValueError(
                "STUDIO_WORKER_PORT is 0, so the worker cannot be asked: set it to a port, here and for the worker"
            )
    url = f"{http_url(host, port)}/readyz"
    try:
        # The environment's proxy does not apply on this machine.
        async with asyncio.timeout(DEADLINE_SECONDS), httpx2.AsyncClient(trust_env=False, timeout=None) as client:
            response = await client.get(url)
    except (httpx2.TransportError, TimeoutError) as exc:
        raise NotReady(f"{url}: {str(exc) or 'no answer in time'}") from exc
    if response.status_code != 200:
        raise NotReady(f"{url}: {response.status_code} {response.text}")
