"""The gateway listens on every address that its host stands for."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp import web

from services.cli.gateway_access import GatewayAccess, check_gateway
from services.cli.health import ask_health
from services.common.catalogue.catalogue import Catalogue
from services.common.network.addresses import http_url, is_loopback
from services.common.network.listening import listeners
from services.common.telemetry.admin_site import serve_admin
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway

ABSENT = "2001:db8::1"  # reserved for documentation


def stands_for(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name stand for these addresses, in this order."""

    def found(_host: str, port: int, *_: object, **__: object) -> Sequence[Any]:
        kind = (socket.SOCK_STREAM, 6, "")
        return [
            (socket.AF_INET6, *kind, (each, port, 0, 0)) if ":" in each else (socket.AF_INET, *kind, (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    ("host", "addresses", "urls"),
    [
        ("localhost", ("::1", "127.0.0.1"), ("http://[::1]", "http://127.0.0.1")),
        ("::", ("::",), ("http://[::1]", "http://127.0.0.1")),
        ("::1", ("::1",), ("http://[::1]",)),
    ],
)
def test_gateway_answers_at_all_addresses(
    tmp_path: Path,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    addresses: Sequence[str],
    urls: Sequence[str],
) -> None:
    """The gateway answers at every address of its host on one port, tells the first, and commands reach it."""
    settings = embedded_settings(tmp_path, host=host, allow_anonymous=True)
    stands_for(monkeypatch, *addresses)
    with LiveGateway(settings, catalogue) as gateway:
        monkeypatch.undo()
        port = gateway.url.rpartition(":")[2]
        assert gateway.url == f"{urls[0]}:{port}"
        for url in urls:
            assert httpx2.get(f"{url}:{port}/livez", trust_env=False).json()["service"] == "studio-gateway"
        started = settings.model_copy(update={"port": int(port)})
        asyncio.run(ask_health(started, "gateway"))
        asyncio.run(check_gateway(GatewayAccess.of(started).url))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("addresses", "answering"),
    [
        (("127.0.0.1", "::1", "127.0.0.1"), ("127.0.0.1", "::1")),
        ((ABSENT, "127.0.0.1"), ("127.0.0.1",)),
        (("127.0.0.2", ABSENT, "127.0.1.1"), ("127.0.0.2", "127.0.1.1")),
        (("0.0.0.0",), ("127.0.0.1",)),
        (("::ffff:127.0.0.1",), ("127.0.0.1",)),
    ],
)
async def test_all_addresses_of_a_name(
    monkeypatch: pytest.MonkeyPatch, addresses: Sequence[str], answering: Sequence[str]
) -> None:
    """A name with several addresses is bound to all, on one free port; one given twice or absent stops nothing."""
    stands_for(monkeypatch, *addresses)
    bound = await listeners("photos", 0, "STUDIO_")
    monkeypatch.undo()
    for each in bound:
        each.listen()
    for address in answering:
        socket.create_connection((address, bound[0].getsockname()[1]), 5).close()
    for each in bound:
        each.close()


@pytest.mark.anyio
async def test_pages_for_operators_are_at_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of a worker, and a gateway's metrics, are at every address of their host, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="ready")

    stands_for(monkeypatch, "::1", "127.0.0.1", ABSENT)
    async with serve_admin("localhost", port, {"/readyz": page}, "STUDIO_WORKER_"):
        monkeypatch.undo()
        async with httpx2.AsyncClient(trust_env=False) as client:
            for host in ("[::1]", "127.0.0.1", "localhost"):
                assert (await client.get(f"http://{host}:{port}/readyz")).text == "ready"


@pytest.mark.anyio
async def test_name_of_which_no_address_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is told whose addresses are all those of other machines."""
    stands_for(monkeypatch, ABSENT, "192.0.2.1")
    with pytest.raises(OSError, match="this machine has no address 'photos'"):
        await listeners("photos", 0, "STUDIO_")


def test_one_address_that_others_reach_is_refused(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without keys a name is refused if any of its addresses can be reached from other machines."""
    stands_for(monkeypatch, "127.0.0.1", "192.0.2.7")
    with pytest.raises(ValueError, match=r"192\.0\.2\.7 can be reached"):
        LiveGateway(embedded_settings(tmp_path, host="photos"), catalogue).__enter__()


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "no-such-host.invalid"])
def test_name_that_is_none_is_told(tmp_path: Path, catalogue: Catalogue, host: str) -> None:
    """A name that stands for no address, or that no machine may have, is told with its setting."""
    with pytest.raises(OSError, match=rf"^cannot listen on {host}:0: this machine has no address .* STUDIO_HOST"):
        LiveGateway(embedded_settings(tmp_path, host=host), catalogue).__enter__()


@pytest.mark.anyio
async def test_port_that_one_address_has_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is in use on any address of the host is told, and no address stays bound."""
    stands_for(monkeypatch, "127.0.0.3", "127.0.0.2")
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="the port is in use"):
            await listeners("photos", port, "STUDIO_")
        with socket.socket() as free:
            free.bind(("127.0.0.3", port))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:80"),
        ("::ffff:0.0.0.0", "http://127.0.0.1:80"),
        ("::ffff:192.0.2.1", "http://192.0.2.1:80"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:80"),
    ],
)
def test_url_of_a_host(host: str, url: str) -> None:
    """A URL has IPv6 in brackets, IPv4 as itself, and this machine for every address."""
    assert http_url(host, 80) == url


def test_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no ::1, a gateway that listens on :: is asked at 127.0.0.1."""

    def no_ipv6(*_: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", no_ipv6)
    assert http_url("::", 80) == "http://127.0.0.1:80"


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST", "localhost.", "127.9.9.9", "::1", "::ffff:127.0.0.1")),
        *((host, False) for host in ("0.0.0.0", "::", "::ffff:0.0.0.0", "localhost.example", "192.0.2.1", "")),
    ],
)
def test_loopback(host: str, only_here: bool) -> None:
    """Only addresses and names that no other machine can reach are loopback."""
    assert is_loopback(host) is only_here
