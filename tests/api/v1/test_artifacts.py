"""/v1/jobs/{id}/artifacts through HTTP."""

import hashlib
from typing import cast

import httpx2
import pytest

from services.api.core.artifacts import Artifacts
from services.api.core.renditions import Renditions
from services.common.backends import Backends
from tests.api.v1.test_jobs import submit
from tests.support.fake_backends import PresigningObjects, without
from tests.support.fakes import FakeWorker, stored_image

pytestmark = pytest.mark.anyio

PICTURE = bytes(range(256)) * 2000  # several chunks


async def test_artifact_is_streamed(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """An artifact comes byte for byte, named, typed, and cacheable for good under its hash."""
    job_id = await submit(client)
    await worker.succeed(job_id, b"other", PICTURE)

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/1")

    assert response.status_code == 200
    assert response.content == PICTURE
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["Content-Length"] == str(len(PICTURE))
    assert response.headers["ETag"] == f'"{hashlib.sha256(PICTURE).hexdigest()}"'
    assert response.headers["Content-Disposition"] == f'inline; filename="{job_id}-1.png"'
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_artifact_can_be_saved(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """`?download=1` names the artifact as an attachment."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0?download=1")

    assert response.headers["Content-Disposition"] == f'attachment; filename="{job_id}-0.png"'


async def test_known_artifact_is_not_sent_again(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """If-None-Match with the artifact's ETag is 304 without a body."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)
    etag = f'"{hashlib.sha256(PICTURE).hexdigest()}"'

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0", headers={"If-None-Match": etag})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == etag


async def test_head_has_the_headers_only(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """HEAD of an artifact answers what GET would, without the bytes."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)

    response = await client.head(f"/v1/jobs/{job_id}/artifacts/0")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(PICTURE))


async def test_artifacts_are_listed(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The job's `artifacts` link lists what the job itself shows."""
    job_id = await submit(client)
    await worker.succeed(job_id, b"first", b"second")
    job = (await client.get(f"/v1/jobs/{job_id}")).json()

    listed = (await client.get(job["links"]["artifacts"])).json()

    assert listed == {"object": "list", "data": job["artifacts"]}


@pytest.mark.parametrize("index", ["1", "-1", "x", "00000", "9" * 5000, "%00"])
async def test_artifact_out_of_range_is_not_found(client: httpx2.AsyncClient, worker: FakeWorker, index: str) -> None:
    """An index the job does not have is 404, however it is spelt."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/{index}")

    assert (response.status_code, response.json()["code"]) == (404, "artifact-not-found")


async def test_unfinished_job_has_no_artifacts_yet(client: httpx2.AsyncClient) -> None:
    """Before the job is over its artifact is 404 with a code of its own, and says when to ask again."""
    job_id = await submit(client)

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0")

    assert (response.status_code, response.json()["code"]) == (404, "job-not-finished")
    assert response.headers["Retry-After"] == "2"


async def test_lost_object_is_not_a_broken_answer(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """An artifact missing from the object store is a whole 404, not a 200 cut short."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)
    await backends.objects.delete([f"jobs/{job_id}/{hashlib.sha256(PICTURE).hexdigest()}.png"])

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0")

    assert (response.status_code, response.json()["code"]) == (404, "object-not-found")


async def test_object_store_down_is_503(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends, state: dict[str, object]
) -> None:
    """With the object store down an artifact is 503, and the reason stays with us."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)

    state["artifacts"] = Artifacts(without(backends, "objects").objects, cast("Renditions", None))

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0")

    assert (response.status_code, response.json()["code"]) == (503, "backend-unavailable")
    assert response.headers["Retry-After"]
    assert "secret-host" not in response.text


@pytest.mark.parametrize(
    "settings", [{"artifact_delivery": "redirect", "s3_public_endpoint": "https://s3.example"}], indirect=True
)
async def test_artifact_is_redirected_to_the_store(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends, state: dict[str, object]
) -> None:
    """With redirect delivery the answer is an uncacheable 307 to a presigned URL that pages may show."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)

    state["artifacts"] = Artifacts(PresigningObjects(backends.objects), cast("Renditions", None))  # type: ignore[arg-type]

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0")

    assert response.status_code == 307
    assert response.headers["Location"].startswith(f"https://s3.example/bucket/jobs/{job_id}/")
    assert response.headers["Cache-Control"] == "no-store"
    for files in ("img-src", "media-src"):
        assert f"{files} 'self' blob: data: https://s3.example;" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("settings", [{"artifact_delivery": "redirect"}], indirect=True)
async def test_store_that_cannot_presign_is_streamed(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Redirect delivery falls back to streaming where the object store has no URLs."""
    job_id = await submit(client)
    await worker.succeed(job_id, PICTURE)

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/0")

    assert (response.status_code, response.content) == (200, PICTURE)


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("0.png", "image/png"),
        ("0.jpg?format=jpeg", "image/jpeg"),
        ("0.jpeg?format=jpeg", "image/jpeg"),
        ("0.webp?format=webp", "image/webp"),
        ("0.png?max_side=16", "image/png"),
        ("0.png?metadata=0", "image/png"),
    ],
)
async def test_name_with_its_extension(
    client: httpx2.AsyncClient, worker: FakeWorker, name: str, answered: str
) -> None:
    """The number may be followed by the extension of the file that is answered."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image())

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/{name}")
    plain = await client.get(f"/v1/jobs/{job_id}/artifacts/0{name.partition('?')[1]}{name.partition('?')[2]}")

    assert (response.status_code, response.headers["Content-Type"]) == (200, answered)
    assert (response.content, response.headers["ETag"]) == (plain.content, plain.headers["ETag"])


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("0.jpg", "0.png"),
        ("0.jpeg", "0.png"),
        ("0.webp", "0.png"),
        ("0.gif", "0.png"),
        ("0.", "0.png"),
        ("0.PNG", "0.png"),
        ("0.png.png", "0.png"),
        ("0.png?format=jpeg", "0.jpg"),
        ("0.jpg?format=webp", "0.webp"),
        ("0." + "x" * 3000, "0.png"),
    ],
)
async def test_name_with_another_extension(
    client: httpx2.AsyncClient, worker: FakeWorker, name: str, right: str
) -> None:
    """A name with another extension is 404, and the answer names the right one."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image())

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/{name}")

    assert (response.status_code, response.json()["code"]) == (404, "artifact-not-found")
    assert f"ask for {right} " in response.json()["detail"]
    assert len(response.json()["detail"]) < 200


@pytest.mark.parametrize("name", ["1.png", ".png", "png", "-1.png", "00000.png", "0x0.png"])
async def test_extension_makes_no_artifact(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """An extension behind a number that the job does not have finds nothing."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image())

    response = await client.get(f"/v1/jobs/{job_id}/artifacts/{name}")

    assert (response.status_code, response.json()["code"]) == (404, "artifact-not-found")
