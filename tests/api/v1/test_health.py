"""/livez and /readyz through HTTP."""

import asyncio
from dataclasses import replace

import httpx2
import pytest

from services.api.core.health import BackendHealth
from services.common.backends import Backends
from tests.support.fake_backends import HungBroker, without

pytestmark = pytest.mark.anyio


async def test_gateway_is_ready(client: httpx2.AsyncClient) -> None:
    """With all backends answering the gateway is ready and says so of each."""
    response = await client.get("/readyz")

    assert response.status_code == 200
    assert response.json()["dependencies"] == {"broker": "ready", "statuses": "ready", "objects": "ready"}
    assert response.json()["service"] == (await client.get("/livez")).json()["service"] == "studio-gateway"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("down", [("broker",), ("statuses",), ("objects", "broker")])
async def test_gateway_names_what_is_not_ready(
    client: httpx2.AsyncClient, backends: Backends, state: dict[str, object], down: tuple[str, ...]
) -> None:
    """With backends down readiness is a 503 that names them and not their addresses; liveness stays 200."""
    state["health"] = BackendHealth(without(backends, *down))

    response = await client.get("/readyz")

    problem = response.json()
    assert (response.status_code, problem["code"]) == (503, "not-ready")
    assert sorted(problem["not_ready"]) == sorted(down)
    assert {name for name, state in problem["dependencies"].items() if state == "ready"} == {
        "broker",
        "statuses",
        "objects",
    } - set(down)
    assert "secret-host" not in response.text
    assert (await client.get("/livez")).status_code == 200


async def test_readiness_does_not_hang_with_a_backend(
    client: httpx2.AsyncClient, backends: Backends, state: dict[str, object]
) -> None:
    """A backend that never answers is reported within the 3 s in which every endpoint answers."""
    state["health"] = BackendHealth(replace(backends, broker=HungBroker()))  # type: ignore[arg-type]

    async with asyncio.timeout(10):
        response = await client.get("/readyz")

    assert (response.status_code, response.json()["not_ready"]) == (503, ["broker"])
