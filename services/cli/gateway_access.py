"""Requests to a gateway over HTTP: it proves what it is before each, and jobs it has accepted are asked for again."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx2
from pydantic import SecretStr

from services.cli.gateway_answers import RETRY_SECONDS, Refused, Unreachable, check_type, problem_in
from services.common.network.addresses import GATEWAY, http_url, is_loopback, is_ours, without_password
from services.common.network.proxies import proxy_fault
from services.common.settings import Settings

REQUEST_SECONDS = 10.0
FOUND_SECONDS = 2.0  # within which a gateway on this machine answers /livez
RETRY_FOR_SECONDS = 60.0  # of an accepted job: a gateway that does not answer may be started again
ANSWER_SECONDS = 120.0  # of a whole answer: one that comes in drops is never late for a single read
JSON: Final = "application/json"


@dataclass(frozen=True)
class GatewayAccess:
    """The URL of the gateway, and the key that commands send."""

    url: str
    key: SecretStr | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.url or http_url(settings.host, settings.port), settings.api_key)


async def check_gateway(url: str) -> None:
    """Return if a gateway answers at this URL. Raises Unreachable for anything else, Refused when it is unavailable."""
    try:
        async with (
            asyncio.timeout(2 * FOUND_SECONDS),
            _client(url, timeout=FOUND_SECONDS) as client,
            client.stream("GET", _livez(url), headers=_credentials(url)) as answer,
        ):
            await _prove(url, answer)
    except (httpx2.RequestError, TimeoutError) as exc:
        raise Unreachable(silence(url, exc)) from exc


@asynccontextmanager
async def open_client(gateway: GatewayAccess) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a client for the gateway, to be used by `ask`. Raises Unreachable for a RequestError in the block."""
    try:
        auth = _ProvenGateway(gateway)
        async with _client(gateway.url, base_url=gateway.url, auth=auth, timeout=REQUEST_SECONDS) as client:
            yield client
    except httpx2.RequestError as exc:
        raise Unreachable(silence(gateway.url, exc)) from exc


def silence(url: str, exc: Exception) -> str:
    """Return a sentence about a gateway that does not answer."""
    return f"no gateway answers at {without_password(url)}: {str(exc) or 'no answer in time'}"


class _ProvenGateway(httpx2.Auth):
    """Asks /livez before each request and gives away neither key nor job where no gateway answers.

    Before each one: a gateway may end, and another program take its port, while a job is waited for. Both requests
    usually use the same connection.
    """

    def __init__(self, gateway: GatewayAccess) -> None:
        self._url = gateway.url
        self._credentials = _credentials(gateway.url)
        self._key = gateway.key

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        # The extensions hold the timeouts.
        asked = httpx2.Request("GET", _livez(self._url), headers=self._credentials, extensions=request.extensions)
        await _prove(self._url, (yield asked))
        request.headers.update(self._credentials)
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request


async def _prove(url: str, answer: httpx2.Response) -> None:
    """Raise Unreachable unless this answer of /livez is a gateway's, Refused if it is that of a proxy without one."""
    shown, media_type = without_password(url), answer.headers.get("Content-Type", "no type")
    if answer.status_code >= 500 or answer.status_code == 429:
        title = f"{shown} answers {answer.status_code} {answer.reason_phrase}"
        raise Refused({"title": title}, unavailable=True, retry_after=RETRY_SECONDS)
    if answer.status_code == 200 and media_type.startswith("application/json"):
        with suppress(TimeoutError, httpx2.DecodingError):  # an answer without an end or meaning is none of ours
            async with asyncio.timeout(REQUEST_SECONDS):
                if is_ours(await answer.aread(), GATEWAY):
                    return
    if answer.has_redirect_location:
        there = answer.headers["Location"].partition("?")[0]
        raise Unreachable(
            f"{shown} leads to {there}, and nothing was sent there: if that is the gateway, name it in STUDIO_URL"
        )
    raise Unreachable(
        f"at {shown} is no gateway of this program (its /livez answers {answer.status_code}, {media_type}), and "
        "nothing was sent to it: name the gateway's URL in STUDIO_URL, or its address in STUDIO_HOST and STUDIO_PORT"
    )


def _livez(url: str) -> str:
    return f"{url.rstrip('/')}/livez"


def _credentials(url: str) -> dict[str, str]:
    """Return the header for a user and a password in the URL: those of a proxy in front of the gateway."""
    parts = httpx2.URL(url)
    if not parts.userinfo:
        return {}
    pair = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _client(url: str, **options: Any) -> httpx2.AsyncClient:
    """Return a client for this URL; the environment's proxy applies, but not on this machine. Raises Unreachable."""
    leads_away = not is_loopback(httpx2.URL(url).host)
    if leads_away and (fault := proxy_fault()):
        raise Unreachable(f"{without_password(url)} cannot be asked: {fault}")
    return httpx2.AsyncClient(trust_env=leads_away, **options)


async def ask(
    client: httpx2.AsyncClient, method: str, path: str, *, media_type: str = JSON, **options: Any
) -> httpx2.Response:
    """Send the request and return its successful answer of this type, from elsewhere where a GET is redirected.

    Raises Refused, httpx2.RequestError, and Unreachable for an answer that is none of the gateway's.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            response = await client.request(method, path, **options)
            if response.has_redirect_location and method == "GET":
                response = await _redirected(response)
    except TimeoutError as exc:
        raise httpx2.ReadTimeout(f"no whole answer within {ANSWER_SECONDS:g} s") from exc
    if response.is_success:
        check_type(response, media_type)
        return response
    asked = response.headers.get("Retry-After", "")
    raise Refused(
        problem_in(response),
        unavailable=response.status_code >= 500 or response.status_code == 429,
        retry_after=max(RETRY_SECONDS, float(asked)) if asked.isdecimal() else RETRY_SECONDS,
    )


async def _redirected(response: httpx2.Response) -> httpx2.Response:
    """Follow a redirect, as to a file in S3, without the key. Raises Refused, httpx2.RequestError."""
    try:
        url = response.url.join(response.headers["Location"])
        async with _client(str(url), timeout=REQUEST_SECONDS, follow_redirects=True) as client:
            return await client.get(url, auth=httpx2.Auth())  # which sends no credentials of the URL either
    except (httpx2.InvalidURL, httpx2.TooManyRedirects) as exc:
        title = f"{response.status_code} {response.reason_phrase}: {exc}"
        raise Refused({"title": title}, unavailable=False) from exc


async def get_with_retries(client: httpx2.AsyncClient, path: str, **options: Any) -> httpx2.Response:
    """GET as `ask`, and retry for RETRY_FOR_SECONDS while the gateway does not answer or is unavailable."""
    deadline = time.monotonic() + RETRY_FOR_SECONDS
    while True:
        try:
            return await ask(client, "GET", path, **options)
        except (httpx2.RequestError, Refused) as exc:
            refused = exc if isinstance(exc, Refused) else None
            left = deadline - time.monotonic()
            if left <= 0 or (refused and not refused.unavailable):
                raise
            wait = refused.retry_after if refused else RETRY_SECONDS
        await asyncio.sleep(min(wait, left))
