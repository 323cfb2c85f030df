"""/v1/jobs through HTTP."""

from datetime import datetime
from uuid import UUID, uuid4

import httpx2
import pytest

from services.common.backends import Backends
from services.common.schemas import Progress
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio

MUG = {"prompt": "a matte black mug"}


async def submit(client: httpx2.AsyncClient, **body: object) -> str:
    response = await client.post("/v1/jobs", json={**MUG, **body})
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


async def test_submitted_job_is_accepted_and_queued(client: httpx2.AsyncClient, backends: Backends) -> None:
    """A submitted job answers 202 with where to look and when, and lies in its model's queue."""
    response = await client.post("/v1/jobs", json={**MUG, "width": 128, "seed": 7})

    job = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert response.headers["Retry-After"] == "2"
    assert response.headers["Content-Type"] == "application/json"
    assert UUID(job["id"]).version == 7
    assert job["state"] == "queued"
    assert job["params"]["seed"] == 7
    assert job["params"]["width"] == 128
    assert job["params"]["height"] == 128  # the model's own default
    assert job["links"] == {
        "self": f"/v1/jobs/{job['id']}",
        "cancel": f"/v1/jobs/{job['id']}/cancel",
        "page": f"/jobs/{job['id']}",
        "artifacts": f"/v1/jobs/{job['id']}/artifacts",
        "preview": None,
    }
    created, expires = datetime.fromisoformat(job["created_at"]), datetime.fromisoformat(job["expires_at"])
    assert (expires - created).total_seconds() == pytest.approx(3600)
    assert await backends.broker.depth("studio-tiny") == 1


async def test_seed_is_chosen_when_none_is_given(client: httpx2.AsyncClient) -> None:
    """Without a seed the gateway picks one and says which."""
    response = await client.post("/v1/jobs", json=MUG)

    assert 0 <= response.json()["params"]["seed"] < 2**32


async def test_finished_job_shows_its_artifacts(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A succeeded job lists every picture with its own seed, has metrics, and asks for no further polls."""
    job_id = await submit(client, num_images=2)
    await worker.succeed(job_id, b"first", b"second")

    response = await client.get(f"/v1/jobs/{job_id}")

    job = response.json()
    assert response.status_code == 200
    assert "Retry-After" not in response.headers
    assert job["state"] == "succeeded"
    assert job["attempt"] == 1
    assert [artifact["seed"] for artifact in job["artifacts"]] == [0, 1]
    assert job["artifacts"][1]["url"] == f"/v1/jobs/{job_id}/artifacts/1"
    assert job["artifacts"][1]["bytes"] == len(b"second")
    assert "key" not in job["artifacts"][1]
    assert job["metrics"]["queue_seconds"] >= 0
    assert job["metrics"]["run_seconds"] >= 0
    assert job["links"]["cancel"] is None


async def test_failed_job_says_why(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A failed job is `failed` with a code whose type resolves."""
    job_id = await submit(client)
    await worker.fail(job_id, "out-of-memory")

    job = (await client.get(f"/v1/jobs/{job_id}")).json()

    assert job["state"] == "failed"
    assert job["error"] == {
        "code": "out-of-memory",
        "message": "not this time",
        "retryable": False,
        "type": "/problems/out-of-memory",
    }
    assert (await client.get(job["error"]["type"])).status_code == 200


async def test_running_job_shows_progress(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A running job shows its steps in percent, and is polled more often than a queued one."""
    job_id = await submit(client)
    queued = await client.get(f"/v1/jobs/{job_id}")
    await worker.begin(job_id, Progress(step=3, total=8))

    running = await client.get(f"/v1/jobs/{job_id}")

    assert running.json()["state"] == "running"
    assert running.json()["progress"] == {"phase": "generating", "step": 3, "total": 8, "percent": 37}
    assert (queued.headers["Retry-After"], running.headers["Retry-After"]) == ("2", "1")


async def test_unchanged_job_is_not_sent_again(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A poll with the last ETag answers 304 without a body until the job changes."""
    job_id = await submit(client)
    first = await client.get(f"/v1/jobs/{job_id}")
    known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}

    second = await client.get(f"/v1/jobs/{job_id}", headers=known)
    await worker.begin(job_id)
    third = await client.get(f"/v1/jobs/{job_id}", headers=known)

    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert second.headers["Retry-After"] == "2"
    assert second.headers["Cache-Control"] == "private, no-cache"
    assert third.status_code == 200
    assert third.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("settings", [{"public_url": "https://studio.example/"}], indirect=True)
async def test_links_come_from_the_public_url(client: httpx2.AsyncClient) -> None:
    """With a public URL links are absolute; the Host header never shows in them."""
    response = await client.post("/v1/jobs", json=MUG, headers={"Host": "evil.test"})

    assert response.headers["Location"].startswith("https://studio.example/v1/jobs/")
    assert "evil.test" not in response.text


async def test_unknown_jobs_are_not_found(client: httpx2.AsyncClient) -> None:
    """An id that never was a job's is 404 on every route."""
    # An old enough UUIDv7: a fresh one could be of a job that a lost status record hides.
    for job_id in ("01890a5d-ac96-774b-bcce-b302099a8057", str(uuid4()), "1", "..%2f..%2fetc"):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/artifacts/0")):
            response = await client.request(method, f"/v1/jobs/{job_id}{path}")
            assert response.status_code == 404, (method, path, job_id)
            assert response.json()["type"] in ("/problems/job-not-found", "/problems/not-found")


async def test_queued_job_is_canceled_at_once(client: httpx2.AsyncClient) -> None:
    """Canceling a queued job ends it, and canceling it again is no error."""
    job_id = await submit(client)

    first = await client.post(f"/v1/jobs/{job_id}/cancel")
    second = await client.post(f"/v1/jobs/{job_id}/cancel")

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["state"] == "canceled" == second.json()["state"]


async def test_running_job_is_asked_to_stop(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Canceling a running job answers 202 while it still runs; its worker is told."""
    job_id = await submit(client)
    await worker.begin(job_id)

    response = await client.post(f"/v1/jobs/{job_id}/cancel")

    assert response.status_code == 202
    assert response.json()["state"] == "running"
    assert response.headers["Retry-After"] == "1"


async def test_finished_job_cannot_be_canceled(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Canceling a job that ended by itself is 409, and changes nothing."""
    job_id = await submit(client)
    await worker.succeed(job_id, b"picture")

    response = await client.post(f"/v1/jobs/{job_id}/cancel")

    assert response.status_code == 409
    assert response.json()["code"] == "job-finished"
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["state"] == "succeeded"


async def test_removed_job_is_gone(client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends) -> None:
    """After DELETE the job answers 410 everywhere and its files are deleted."""
    job_id = await submit(client)
    await worker.succeed(job_id, b"picture")

    response = await client.delete(f"/v1/jobs/{job_id}")

    assert (response.status_code, response.content) == (204, b"")
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/artifacts/0"),
        ("GET", "/artifacts"),
    ):
        again = await client.request(method, f"/v1/jobs/{job_id}{path}")
        assert (again.status_code, again.json()["code"]) == (410, "job-removed"), (method, path)
    assert await backends.objects.list(f"jobs/{job_id}/") == []


@pytest.mark.parametrize("settings", [{"queue_limit": 1}], indirect=True)
async def test_full_queue_refuses(client: httpx2.AsyncClient, backends: Backends) -> None:
    """Beyond the queue limit a job is refused with 503 and Retry-After, and leaves no record."""
    await submit(client)

    response = await client.post("/v1/jobs", json=MUG)

    assert response.status_code == 503
    assert response.json()["code"] == "queue-full"
    assert int(response.headers["Retry-After"]) > 0
    assert len(await backends.statuses.list()) == 1
