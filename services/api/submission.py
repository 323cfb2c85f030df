"""Takes a browser's form to the gateway, and a form sent twice to the one job it made."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request

from services.api.gateway import Gateway
from services.api.state import AppState
from services.common.errors import IdempotencyInFlight
from services.common.schemas import StatusRecord

MAX_FIELDS: Final = 32
TRIES: Final = 25
PAUSE_SECONDS: Final = 0.1


async def read_form(request: Request[AppState]) -> dict[str, str]:
    """The text fields. Raises HTTPException 400 for a form that is broken, has files or too many fields."""
    async with request.form(max_files=0, max_fields=MAX_FIELDS) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def submit_form(gateway: Gateway, body: Mapping[str, Any], key: str) -> StatusRecord:
    """Of a double click the browser shows only the second answer, so that one waits for the first.

    Raises as `Gateway.submit`.
    """
    for _ in range(TRIES):
        try:
            return await gateway.submit(body, idempotency_key=key)
        except IdempotencyInFlight:
            await asyncio.sleep(PAUSE_SECONDS)
    raise IdempotencyInFlight
