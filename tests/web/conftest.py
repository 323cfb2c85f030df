"""The gateway's pages on embedded backends, requested as a browser does."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.types import ASGIApp

from tests.api.conftest import app, backends, catalogue, settings, state, worker
from tests.support.app_parts import parts_made_once
from tests.support.web.browser import chromium, context, page, system

__all__ = [
    "app",
    "backends",
    "browser",
    "catalogue",
    "chromium",
    "context",
    "page",
    "parts_made_once",
    "settings",
    "state",
    "system",
    "worker",
]


@pytest.fixture
async def browser(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that sends the headers of a browser on one of our own pages."""
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://studio.test", "Accept": "text/html"}
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test", headers=headers) as opened:
        yield opened
