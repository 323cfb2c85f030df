"""The gateway's pages on embedded backends, and the forms in them filled in as a browser would."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from asgi_lifespan import LifespanManager
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.app import create_app
from services.common.backends import Backends, open_backends
from services.common.catalogue import Catalogue, load_catalogue
from services.common.settings import Settings
from tests.api.conftest import embedded_settings
from tests.fakes import FakeWorker


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    models = Path(__file__).parents[2] / "models"
    return load_catalogue(models / "models.toml", models / "styles.toml")


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Changed by `@pytest.mark.parametrize("settings", [{...}], indirect=True)`."""
    return embedded_settings(tmp_path, **getattr(request, "param", {}))


@pytest.fixture
def state() -> dict[str, object]:
    """What a test puts in here stands in for the same entry of the application's state."""
    return {}


@pytest.fixture
async def app(settings: Settings, catalogue: Catalogue, state: dict[str, object]) -> AsyncIterator[ASGIApp]:
    application = create_app(settings, catalogue)

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"] = {**scope["state"], **state}
        await application(scope, receive, send)

    async with LifespanManager(with_state, startup_timeout=30, shutdown_timeout=30) as manager:
        yield manager.app


@pytest.fixture
async def browser(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    """Sends what a browser sends from the site's own pages."""
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://studio.test", "Accept": "text/html"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://studio.test", headers=headers
    ) as opened:
        yield opened


@pytest.fixture
async def backends(app: ASGIApp, settings: Settings) -> AsyncIterator[Backends]:
    """The other side of the same files, as a worker has it."""
    async with open_backends(settings) as opened:
        yield opened


@pytest.fixture
def worker(backends: Backends) -> FakeWorker:
    return FakeWorker(backends)
