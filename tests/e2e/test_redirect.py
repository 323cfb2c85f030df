"""Artifacts are delivered by presigned URLs of a real S3 server."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path, {**stack.environment(), "STUDIO_ARTIFACT_DELIVERY": "redirect"}) as running:
        yield running


def test_presigned_address_is_short_lived_and_not_logged(system: System) -> None:
    """A presigned URL gives read access to one file and its parts for five minutes at most; no log has it."""
    system.start_gateway(log_level="debug")
    system.start_worker(log_level="debug")
    job = system.wait(system.submit("vase")["id"])
    answer = system.client.get(job["artifacts"][0]["url"])
    query = parse_qs(urlsplit(answer.headers["Location"]).query)

    assert (answer.status_code, answer.headers["Cache-Control"]) == (307, "no-store")
    assert int(query["X-Amz-Expires"][0]) <= 300
    assert httpx2.get(answer.headers["Location"]).headers["Content-Type"] == "image/png"
    part = httpx2.get(answer.headers["Location"], headers={"Range": "bytes=1-3"})
    assert part.content == b"PNG"
    assert httpx2.put(answer.headers["Location"], content=b"other").status_code >= 400
    assert query["X-Amz-Signature"][0] not in system.log()
    assert query["X-Amz-Credential"][0] not in system.log()
