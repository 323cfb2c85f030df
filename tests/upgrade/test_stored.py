"""Records, messages and manifests of another version of the program, read by this one."""

import json
from typing import Any

import httpx2
import pytest
import redis

from services.common.backends import Backends
from services.common.ids import new_job_id
from services.common.manifests import Manifests
from services.common.ports import Lease, Limits, Outcome, Verdict
from services.common.schemas import JobMessage, JobWarning, Progress, State, StatusRecord
from services.common.statuses.redis_rows import JOB_PREFIX
from services.common.statuses.row import to_row
from tests.api.conftest import app, backends, catalogue, client, settings, state
from tests.support.servers.redis_links import open_statuses_at
from tests.support.servers.stack import Stack
from tests.upgrade.samples import manifest, message, record

__all__ = ["app", "backends", "catalogue", "client", "settings", "state"]

pytestmark = pytest.mark.anyio

LATER = {"something_new": {"not": "known yet"}}
CUT = JobWarning(code="prompt-cut", message="“of the product”")


async def _manifest(backends: Backends, body: bytes, job_id: str) -> None:
    await backends.objects.put(f"jobs/{job_id}/manifest.json", body, "application/json")


@pytest.mark.parametrize("more", [{}, LATER], ids=["older", "newer"])
async def test_manifest_is_understood(client: httpx2.AsyncClient, backends: Backends, more: dict[str, Any]) -> None:
    """A manifest of the first version is read, and so is one with a field of a later version."""
    job_id = new_job_id()
    await _manifest(backends, manifest(job_id, "studio-tiny", **more), job_id)

    answer = await client.get(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    assert answer.json()["warnings"] == []


async def test_artifact_of_an_older_version_is_shown(client: httpx2.AsyncClient, backends: Backends) -> None:
    """An artifact without duration, length and kind of source is read; what it lacks is null."""
    job_id = new_job_id()
    artifact = {"index": 0, "key": f"jobs/{job_id}/a.png", "media_type": "image/png", "bytes": 3, "sha256": "0" * 64}
    more: dict[str, Any] = {"artifacts": [{**artifact, "width": 64, "height": 64, "seed": 7}], "state": "succeeded"}
    await _manifest(backends, manifest(job_id, "studio-tiny", **more), job_id)

    (shown,) = (await client.get(f"/v1/jobs/{job_id}")).json()["artifacts"]

    assert (shown["width"], shown["duration_seconds"], shown["characters"], shown["source_type"]) == (
        64,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("modality", ["txt2txt", "of-a-package-that-is-gone"])
async def test_job_of_an_unknown_modality_is_shown(
    client: httpx2.AsyncClient, backends: Backends, modality: str
) -> None:
    """A job of a modality that this version does not know, or does not know any more, is read and shown as it is."""
    job_id = new_job_id()
    kept = message(job_id, "poet", modality=modality, params={"prompt": "an ode", "seed": 7})
    await _manifest(backends, manifest(job_id, "poet", message=kept), job_id)

    answer = await client.get(f"/v1/jobs/{job_id}")
    page = await client.get(f"/jobs/{job_id}", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.json()["modality"]) == (200, modality)
    assert answer.json()["params"] == {"prompt": "an ode", "seed": 7}
    assert (page.status_code, "an ode" in page.text) == (200, True)


async def test_manifest_not_understood_is_not_lost(client: httpx2.AsyncClient, backends: Backends) -> None:
    """A manifest of a later format stays and is answered 503, so that a gateway of that version may answer a retry."""
    job_id = new_job_id()
    await _manifest(backends, manifest(job_id, "studio-tiny", version=2), job_id)

    answer = await client.get(f"/v1/jobs/{job_id}")

    assert (answer.status_code, answer.json()["code"]) == (503, "backend-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert await backends.objects.list(f"jobs/{job_id}/") == [f"jobs/{job_id}/manifest.json"]


async def test_manifest_is_read_by_older_versions(client: httpx2.AsyncClient, backends: Backends) -> None:
    """A manifest with warnings keeps the version and every member that the first version wrote and reads."""
    job_id = new_job_id()
    first = json.loads(manifest(job_id, "studio-tiny"))
    warnings = [{"code": "prompt-cut", "message": "“of the product”"}]
    await _manifest(backends, manifest(job_id, "studio-tiny", warnings=warnings), job_id)
    read = await Manifests(backends.objects).read(job_id)
    assert read is not None
    await Manifests(backends.objects).write(read)

    written = json.loads(b"".join([part async for part in backends.objects.get(f"jobs/{job_id}/manifest.json")]))

    assert written["schema_version"] == first["schema_version"]
    assert first["record"].keys() <= written["record"].keys()
    assert written["record"]["warnings"] == warnings
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["warnings"] == warnings


@pytest.mark.parametrize("more", [{}, LATER], ids=["older", "newer"])
def test_message_is_understood(more: dict[str, object]) -> None:
    """A message of the first version is read, and so is one with a field of a later version."""
    sent = message(new_job_id(), "studio-tiny", **more)

    read = JobMessage.decode(json.dumps(sent).encode())

    assert (read.params, read.inputs) == (sent["params"], {})


@pytest.mark.services
@pytest.mark.parametrize("more", [{}, LATER], ids=["older", "newer"])
async def test_record_in_redis_is_continued(stack: Stack, more: dict[str, object]) -> None:
    """A running job's hash of the first version, or with a field of a later one, is read, renewed and ended."""
    job_id = new_job_id()
    run = {"state": "running", "attempt": 1, "lease_token": "t", "lease_message_id": "m", "lease_expires_at": 9e9}
    row = to_row(StatusRecord.model_validate(record(job_id, "studio-tiny", **run)))
    del row["timeline"], row["warnings"]
    fields = {name: text for name, text in row.items() if text is not None}
    with redis.Redis.from_url(stack.statuses_url) as server:
        server.hset(JOB_PREFIX + job_id, mapping={**fields, **{name: json.dumps(each) for name, each in more.items()}})
    lease = Lease(job_id, "m", token="t")

    async with open_statuses_at(stack.statuses_url, Limits()) as statuses:
        assert await statuses.progress(lease, Progress(phase="saving")) is Verdict.HELD
        read = await statuses.get(job_id)
        assert await statuses.finish(lease, Outcome(State.SUCCEEDED, warnings=(CUT,))) is Verdict.HELD
        ended = await statuses.get(job_id)
        await statuses.remove(job_id)

    assert (read.state, read.message.params["prompt"]) == ("running", "red mug")
    assert [event.what for event in read.timeline] == ["saving"]
    assert (read.warnings, ended.state, ended.warnings) == ((), State.SUCCEEDED, (CUT,))
