"""A gateway for one test, and clients of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.api.connections import connection
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway
from tests.support.raw_client import RawClient

Connect = Callable[[], RawClient]


@pytest.fixture
def gateway(tmp_path: Path, catalogue: Catalogue) -> Iterator[LiveGateway]:
    """A gateway whose figures and end are the test's own."""
    with LiveGateway(embedded_settings(tmp_path, graceful_timeout_seconds=10), catalogue) as running:
        yield running


@pytest.fixture
def connect(gateway: LiveGateway) -> Iterator[Connect]:
    """Return a function that opens a connection; all are closed before the gateway is stopped."""
    opened: list[RawClient] = []

    def begin() -> RawClient:
        opened.append(RawClient(gateway.address))
        return opened[-1]

    yield begin
    for client in opened:
        client.close()


@pytest.fixture
def short_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
