"""Fixtures every suite shares."""

import os

import pytest

pytest_plugins = ["tests.support.servers.stack", "tests.support.fast"]

# Several processes of a suite calculate on the same cores. libgomp reads this when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asynchronous tests run on what production runs on: asyncio with uvloop."""
    return "asyncio", {"use_uvloop": True}
