"""/livez: the loop turns. /readyz: every backend answers. Once a shutdown has begun nothing listens any more."""

import asyncio
from collections.abc import Awaitable
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.api.problems import problem
from services.api.state import AppState
from services.common.errors import BackendUnavailable

log = structlog.get_logger(__name__)

PING_SECONDS: Final = 2.0
_NO_STORE: Final = {"Cache-Control": "no-store"}


def health_routes() -> list[BaseRoute]:
    return [Route("/livez", livez, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]


async def livez(_request: Request[AppState]) -> Response:
    return JSONResponse({"status": "live"}, headers=_NO_STORE)


async def readyz(request: Request[AppState]) -> Response:
    """200, or 503 with what is not ready by name; why is in the log, not in the answer."""
    backends = request.state["backends"]
    pings: dict[str, Awaitable[object]] = {
        "broker": backends.broker.ping(),
        "statuses": backends.statuses.list(limit=1),
        "objects": backends.objects.ping(),
    }
    answers = await asyncio.gather(*(_answers(name, ping) for name, ping in pings.items()))
    states = dict(zip(pings, answers, strict=True))
    missing = [name for name, state in states.items() if state != "ready"]
    if missing:
        detail = f"not ready: {', '.join(missing)}"
        return problem(request, "not-ready", detail, dependencies=states, not_ready=missing)
    return JSONResponse({"status": "ready", "dependencies": states}, headers=_NO_STORE)


async def _answers(name: str, ping: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping
    except (BackendUnavailable, TimeoutError) as exc:
        log.warning("dependency not ready", dependency=name, reason=str(exc) or "no answer in time")
        return "unavailable"
    return "ready"
