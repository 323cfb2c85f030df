"""Fixtures every suite shares."""

import pytest

pytest_plugins = ["tests.support.servers.stack", "tests.support.fast"]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asynchronous tests run on what production runs on: asyncio with uvloop."""
    return "asyncio", {"use_uvloop": True}
