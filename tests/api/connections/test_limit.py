"""More connections than there may be."""

import resource
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.api import server
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway
from tests.support.polling import poll
from tests.support.raw_client import RawClient
from tests.support.raw_http import post


def test_oldest_waiting_connection_makes_room(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit a new connection is served, and the one that has waited longest is closed: counted, logged once."""
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 4)
    with capture_logs() as logs, LiveGateway(embedded_settings(tmp_path), catalogue) as gateway:
        clients = [RawClient(gateway.address) for _ in range(4)]
        for client in reversed(clients):
            client.ask()
        newest = [RawClient(gateway.address), RawClient(gateway.address)]
        for client in newest:
            client.ask()
        assert [client.rest() for client in clients[2:]] == [b"", b""]
        for client in clients[:2]:
            client.ask()
        gateway.wait_for_connections(4)
        assert gateway.count("studio_connections_over_limit_total", outcome="replaced") == 2
        for client in (*clients, *newest):
            client.close()
    [told] = [entry for entry in logs if entry["event"] == "too many connections"]
    assert (told["log_level"], told["most"], "ulimit -n" in told["advice"]) == ("warning", 4, True)


def test_connection_beyond_busy_ones_is_refused(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a request is open on every connection there may be, a new one gets 503 at once, which is counted."""
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 2)
    with LiveGateway(embedded_settings(tmp_path), catalogue) as gateway:
        busy = [RawClient(gateway.address) for _ in range(2)]
        for client in busy:
            client.socket.sendall(post(b'{"prompt": "a mug"}', "Prefer: wait=20")[0])
        poll(lambda: len(gateway.live_jobs()) == 2, 5, lambda: "two jobs")
        refused = RawClient(gateway.address)
        assert refused.answer(503)["Retry-After"] == "1"
        assert gateway.count("studio_connections_over_limit_total", outcome="refused") == 1
        for client in (*busy, refused):
            client.close()


def test_half_of_the_files_are_for_connections(tmp_path: Path, catalogue: Catalogue) -> None:
    """There may be half as many connections as files that the process may open when the gateway starts."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, files[1]))
    try:
        gateway = LiveGateway(embedded_settings(tmp_path), catalogue).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
    with ExitStack() as opened:
        opened.push(gateway)
        clients = [opened.enter_context(closing(RawClient(gateway.address))) for _ in range(151)]
        clients[-1].ask()
        assert clients[0].rest() == b""
        gateway.wait_for_connections(150)
