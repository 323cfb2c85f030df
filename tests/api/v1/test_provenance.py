"""/v1/provenance through HTTP: files of this studio, their renditions, others, and hostile ones."""

import gzip
import hashlib
import io
import json
import zlib

import httpx2
import pytest
from PIL import Image
from starlette.types import ASGIApp

from services.common.backends import Backends
from services.common.provenance.mark import Mark
from services.common.provenance.shown_file import ShownFile
from services.common.provenance.stored_files import marked
from tests.api.v1.test_jobs import submit
from tests.support.api_keys import LINES, bearer
from tests.support.fakes import FakeWorker, stored_image
from tests.support.sounds import sine
from tests.support.web.visitor import job_id
from tests.support.web.visitor import submit as order

pytestmark = pytest.mark.anyio

TERM = "trainedAlgorithmicMedia"
PROMPT = {"prompt": "a secret mug", "parameters": "a secret mug" * 2000}
PNG = marked(stored_image(**PROMPT), "image/png", Mark(TERM))
WAV = marked(sine(facts=PROMPT), "audio/wav", Mark(TERM))
FORM = "multipart/form-data; boundary=x"
IMAGES = ["format=jpeg", "format=webp", "max_side=16", "metadata=0", "format=jpeg&metadata=0", "format=webp&metadata=0"]
SOUNDS = [f"format={name}{more}" for name in ("mp3", "opus", "flac", "aac") for more in ("", "&metadata=0")]


async def told(client: httpx2.AsyncClient, data: bytes, **options: object) -> dict[str, object]:
    """Return the answer about the file, which is sent as the body."""
    answer = await client.post("/v1/provenance", content=data, **options)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    view: dict[str, object] = answer.json()
    assert (view["sha256"], view["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    return view


async def made(client: httpx2.AsyncClient, worker: FakeWorker, *files: bytes, media_type: str = "image/png") -> str:
    """Return the id of a finished job with these files."""
    job_id = await submit(client)
    await worker.succeed(job_id, *files, media_type=media_type)
    return job_id


@pytest.mark.parametrize(("data", "media_type"), [(PNG, "image/png"), (WAV, "audio/wav")])
async def test_stored_file(client: httpx2.AsyncClient, worker: FakeWorker, data: bytes, media_type: str) -> None:
    """A stored file is known by its bytes: its job, its number, its model and its mark."""
    job_id = await made(client, worker, b"another", data, media_type=media_type)
    stored = (await client.get(f"/v1/jobs/{job_id}/artifacts/1")).content

    view = await told(client, stored)

    assert view["detail"] == f"These are the very bytes of artifact 1 of job {job_id}."
    assert view == {
        "object": "provenance",
        "sha256": hashlib.sha256(stored).hexdigest(),
        "bytes": len(stored),
        "media_type": media_type,
        "source_type": TERM,
        "from_this_studio": True,
        "unchanged": True,
        "job_id": job_id,
        "index": 1,
        "model": "studio-tiny",
        "detail": view["detail"],
    }


async def test_file_in_a_form(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A form with the file is answered as the file alone."""
    await made(client, worker, PNG)
    answer = await client.post("/v1/provenance", files={"file": ("../mug.txt", PNG, "text/plain")})
    assert answer.json() == await told(client, PNG)
    assert answer.json()["unchanged"]


@pytest.mark.parametrize(
    ("stored", "media_type", "query"),
    [
        *((PNG, "image/png", query) for query in IMAGES),
        *((WAV, "audio/wav", query) for query in SOUNDS),
        (WAV, "audio/wav", "metadata=0"),
        (stored_image(), "image/png", "metadata=0"),
    ],
)
async def test_rendition(
    client: httpx2.AsyncClient, worker: FakeWorker, stored: bytes, media_type: str, query: str
) -> None:
    """A rendition leads to its job, and is not the stored file; one without settings does as well."""
    job_id = await made(client, worker, stored, media_type=media_type)
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/0?{query}")

    view = await told(client, answer.content)

    assert (view["from_this_studio"], view["unchanged"], view["source_type"]) == (True, False, TERM)
    assert (view["job_id"], view["index"], view["model"]) == (job_id, 0, "studio-tiny")
    assert str(view["detail"]).startswith(f"The file says that it was made from artifact 0 of job {job_id}.")
    assert view["media_type"] == answer.headers["Content-Type"]


async def test_changed_file(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A stored file that another program changed is not known by its bytes; its mark is told if it kept it."""
    await made(client, worker, PNG)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(PNG)).rotate(180).save(buffer, "PNG")

    flipped, drawn = await told(client, PNG[:-20] + b"x" + PNG[-19:]), await told(client, buffer.getvalue())

    assert (flipped["from_this_studio"], flipped["source_type"]) == (False, TERM)
    assert (drawn["from_this_studio"], drawn["source_type"]) == (False, None)
    assert flipped["job_id"] is drawn["job_id"] is None


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_file_of_another_owner(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The job, model, words and name of another owner are not told; operators and the owner see the job."""
    submitted = await client.post("/v1/jobs", json={"prompt": "a secret mug"}, headers=bearer("alice"))
    job_id = submitted.json()["id"]
    await worker.succeed(job_id, PNG)
    small = (await client.get(f"/v1/jobs/{job_id}/artifacts/0?format=jpeg", headers=bearer("alice"))).content

    for data, unchanged in ((PNG, True), (small, False)):
        views = {name: await told(client, data, headers=bearer(name)) for name in ("alice", "bob", "olga")}
        assert {(view["from_this_studio"], view["unchanged"]) for view in views.values()} == {(True, unchanged)}
        assert {name: view["job_id"] for name, view in views.items()} == {"alice": job_id, "bob": None, "olga": job_id}
        assert (views["bob"]["model"], views["bob"]["index"]) == (None, None)
        assert not any(word in json.dumps(views["bob"]) for word in (job_id, "secret", "alice"))
    assert (await client.post("/v1/provenance", content=PNG)).status_code == 401


async def test_visitors_do_not_learn_ids(app: ASGIApp, client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Without keys a visitor of the page, whom a job id would let delete it, learns none from another's file."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test") as browser:
        made_here = job_id(await order(browser))
        await worker.succeed(made_here, PNG)

        own, other = await told(browser, PNG), await told(client, PNG)

    assert (own["job_id"], other["job_id"], other["from_this_studio"]) == (made_here, None, True)


async def test_one_of_several_jobs(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A file that several jobs made alike is told to be of the newest; of the other once that one is removed."""
    first, second = [await made(client, worker, PNG) for _ in range(2)]
    assert (await told(client, PNG))["job_id"] == second
    assert (await client.delete(f"/v1/jobs/{second}")).status_code == 204
    assert (await told(client, PNG))["job_id"] == first


async def test_removed_job(client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends) -> None:
    """The file of a removed job is not known any more, and nothing of it is left in the object store."""
    job_id = await made(client, worker, PNG, WAV)
    small = (await client.get(f"/v1/jobs/{job_id}/artifacts/0?format=webp")).content
    assert len(await backends.objects.list("digests/")) == 2

    assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 204

    assert await backends.objects.list("digests/") == []
    for data in (PNG, small):
        view = await told(client, data)
        assert (view["from_this_studio"], view["job_id"], view["source_type"]) == (False, None, TERM)


async def test_entry_that_leads_nowhere(client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends) -> None:
    """An entry without a job, or of a job without this artifact, says nothing."""
    job_id = await made(client, worker, b"another file")
    sha256 = hashlib.sha256(PNG).hexdigest()
    for name in (job_id, "0199e3a1-7c54-7b1e-9d0c-2f6f0f3c5a11", "nothing"):
        await backends.objects.put(f"digests/{sha256}/{name}", b"", "text/plain")
    assert not (await told(client, PNG))["from_this_studio"]


@pytest.mark.parametrize(
    ("data", "media_type", "source_type"),
    [
        (stored_image(), "image/png", None),
        (marked(stored_image(), "image/png", Mark("digitalCapture")), "image/png", "digitalCapture"),
        (marked(stored_image(), "image/png", Mark(TERM, "0" * 64)), "image/png", TERM),
        (b"a text", None, None),
        (b"\0" * 100_000, None, None),
        (b"RIFF", None, None),
        (b"\0\0\0\x1cftypavif", None, None),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 50, "image/png", None),
        (PNG[:600], "image/png", TERM),
        (b"http://cv.iptc.org/newscodes/digitalsourcetype/" * 1000, None, None),
        (b"<a>http://cv.iptc.org/newscodes/digitalsourcetype/" + b"x" * 10_000 + b"<", None, None),
        (stored_image() + zlib.compress(bytes(10_000_000)), "image/png", None),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', None, None),
    ],
)
async def test_other_files(
    client: httpx2.AsyncClient, data: bytes, media_type: str | None, source_type: str | None
) -> None:
    """Of any other file its kind and its mark are told, if it has one; nothing in it is decoded."""
    view = await told(client, data)
    assert (view["media_type"], view["source_type"]) == (media_type, source_type)
    assert (view["from_this_studio"], view["unchanged"], view["job_id"]) == (False, False, None)


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"content": b""}, 422, "validation-error"),
        ({"files": {"file": ("a.png", b"")}}, 422, "validation-error"),
        ({"files": {"image": ("a.png", PNG)}}, 422, "validation-error"),
        ({"files": [("file", PNG), ("file", PNG)]}, 422, "validation-error"),
        ({"content": PNG, "headers": {"Content-Type": "multipart/form-data"}}, 422, "validation-error"),
        ({"content": PNG, "headers": {"Content-Type": FORM}}, 422, "validation-error"),
        ({"content": PNG, "headers": {"Content-Type": FORM + "x" * 3000}}, 422, "validation-error"),
        (
            {"content": b"--x\r\n", "headers": {"Content-Type": FORM}},
            422,
            "validation-error",
        ),
        ({"content": gzip.compress(PNG), "headers": {"Content-Encoding": "gzip"}}, 415, "unsupported-media-type"),
    ],
)
async def test_refused(client: httpx2.AsyncClient, options: dict[str, object], status: int, code: str) -> None:
    """What holds no file, or not one, is refused with a problem."""
    answer = await client.post("/v1/provenance", **options)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("settings", [{"max_input_bytes": 100_000}], indirect=True)
@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("size", [100_001, 300_000])
async def test_long_file(client: httpx2.AsyncClient, form: bool, size: int) -> None:
    """A file of more than STUDIO_MAX_INPUT_BYTES is refused, alone or in a form; one of as many is read."""
    for length, status in ((size, 413), (100_000, 200)):
        data = bytes(length)
        given = {"files": {"file": ("a", data)}} if form else {"content": data}
        assert (await client.post("/v1/provenance", **given)).status_code == status


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_pieces(size: int) -> None:
    """The answer does not depend on the pieces in which a file comes."""
    for data in (PNG, WAV, marked(stored_image(), "image/png", Mark(TERM, "a" * 64))):
        whole, pieces = ShownFile(), ShownFile()
        whole.feed(data)
        for start in range(0, len(data), size):
            pieces.feed(data[start : start + size])
        assert whole.mark is not None
        for name in ("bytes", "sha256", "mark", "media_type"):
            assert getattr(pieces, name) == getattr(whole, name)
