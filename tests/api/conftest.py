"""The gateway for tests: as an ASGI application on embedded backends, and as a real server on loopback."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from asgi_lifespan import LifespanManager
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.app import create_app
from services.common.backends import Backends, open_backends
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from services.common.settings import Settings
from tests.support.app_parts import parts_made_once
from tests.support.fakes import FakeWorker
from tests.support.live_server import LiveGateway

__all__ = ["parts_made_once"]


def embedded_settings(folder: Path, **changes: object) -> Settings:
    """Settings whose every file lies in the folder."""
    values: dict[str, object] = {
        "data_dir": folder,
        "broker_url": f"sqlite:///{folder}/studio.db",
        "statuses_url": f"sqlite:///{folder}/studio.db",
        "objects_url": f"file:///{folder}/objects",
        "host": "127.0.0.1",
        "port": 0,
    }
    return Settings.model_validate({**values, **changes})


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
    """Return replacements for entries of the application's state, which a test may fill."""
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
async def client(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test") as opened:
        yield opened


@pytest.fixture
async def backends(app: ASGIApp, settings: Settings) -> AsyncIterator[Backends]:
    """The other side of the same files, as a worker has it."""
    async with open_backends(settings) as opened:
        yield opened


@pytest.fixture
def worker(backends: Backends) -> FakeWorker:
    return FakeWorker(backends)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Iterator[LiveGateway]:
    """One real server for the whole session, with a small body limit and a short body deadline."""
    settings = embedded_settings(
        tmp_path_factory.mktemp("live"), max_body_bytes=20_000, body_deadline_seconds=0.5, graceful_timeout_seconds=5
    )
    with LiveGateway(settings, catalogue) as running:
        yield running
