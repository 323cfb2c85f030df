"""Requests to a gateway over HTTP, with retries for jobs it has accepted."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2
from pydantic import SecretStr

from services.common.addresses import http_url, is_loopback
from services.common.settings import Settings

REQUEST_SECONDS = 10.0
RETRY_FOR_SECONDS = 60.0  # of an accepted job: a gateway that does not answer may be started again
RETRY_SECONDS = 1.0


class Unreachable(Exception):
    """No gateway answers; exit code 3."""


class Refused(Exception):
    """The gateway refused the request: `unavailable` when it may take it later (3), else a wrong request (2)."""

    def __init__(self, problem: Mapping[str, Any], *, unavailable: bool, retry_after: float = RETRY_SECONDS) -> None:
        faults = [
            f"{error['pointer'].strip('/') or 'request'}: {error['detail']}" for error in problem.get("errors", [])
        ]
        super().__init__("; ".join(faults) or str(problem.get("detail") or problem.get("title")))
        self.unavailable = unavailable
        self.retry_after = retry_after


@dataclass(frozen=True)
class GatewayAccess:
    """The URL of the gateway, and the key that commands send."""

    url: str
    key: SecretStr | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.url or http_url(settings.host, settings.port), settings.api_key)


async def is_running(url: str) -> bool:
    """Return whether a gateway answers at this URL."""
    try:
        async with httpx2.AsyncClient(base_url=url, timeout=2, trust_env=_leads_away(url)) as client:
            return (await client.get("/livez")).status_code == 200
    except httpx2.TransportError:
        return False


@asynccontextmanager
async def open_client(gateway: GatewayAccess) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client for the gateway. Raises Unreachable for a TransportError in the block."""
    headers = {"Authorization": f"Bearer {gateway.key.get_secret_value()}"} if gateway.key else {}
    try:
        async with httpx2.AsyncClient(
            base_url=gateway.url,
            headers=headers,
            timeout=REQUEST_SECONDS,
            follow_redirects=True,
            trust_env=_leads_away(gateway.url),
        ) as client:
            yield client
    except httpx2.TransportError as exc:
        raise Unreachable(f"no gateway answers at {gateway.url}: {exc}") from exc


def _leads_away(url: str) -> bool:
    """Return whether the environment's proxy applies: not for this machine."""
    return not is_loopback(httpx2.URL(url).host)


async def ask(client: httpx2.AsyncClient, method: str, path: str, **options: Any) -> httpx2.Response:
    """Send the request and return its successful answer. Raises Refused, httpx2.TransportError."""
    response = await client.request(method, path, **options)
    if response.is_success:
        return response
    asked = response.headers.get("Retry-After", "")
    raise Refused(
        _problem_in(response),
        unavailable=response.status_code >= 500 or response.status_code == 429,
        retry_after=max(RETRY_SECONDS, float(asked)) if asked.isdecimal() else RETRY_SECONDS,
    )


def _problem_in(response: httpx2.Response) -> Mapping[str, Any]:
    """Return the problem, or one that says that the answer is none of a gateway's, but perhaps a proxy's."""
    if not response.headers.get("Content-Type", "").startswith("application/problem+json"):
        came = f"{response.url} answered {response.status_code} {response.reason_phrase}"
        return {"detail": f"{came}, which is no answer of a gateway: check STUDIO_URL, and the proxy in front of it"}
    problem: dict[str, Any] = response.json()
    if problem.get("code") == "unauthenticated":
        return {"detail": f"{problem.get('detail')}; `studio` sends the key in STUDIO_API_KEY"}
    return problem


async def get_with_retries(client: httpx2.AsyncClient, path: str, **options: Any) -> httpx2.Response:
    """GET as `ask`, and retry for RETRY_FOR_SECONDS while the gateway does not answer or is unavailable."""
    deadline = time.monotonic() + RETRY_FOR_SECONDS
    while True:
        try:
            return await ask(client, "GET", path, **options)
        except (httpx2.TransportError, Refused) as exc:
            refused = exc if isinstance(exc, Refused) else None
            left = deadline - time.monotonic()
            if left <= 0 or (refused and not refused.unavailable):
                raise
            wait = refused.retry_after if refused else RETRY_SECONDS
        await asyncio.sleep(min(wait, left))
