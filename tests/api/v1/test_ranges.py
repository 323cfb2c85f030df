"""Parts of artifacts by `Range`, through HTTP."""

import hashlib

import httpx2
import pytest

from services.common.backends import Backends
from tests.api.v1.test_jobs import submit
from tests.support.fakes import FakeWorker, stored_image
from tests.support.sounds import sine

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4000  # several chunks
SIZE = len(DATA)
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


async def stored(client: httpx2.AsyncClient, worker: FakeWorker, data: bytes = DATA) -> str:
    """Return the path of a finished job's artifact."""
    job_id = await submit(client)
    await worker.succeed(job_id, data)
    return f"/v1/jobs/{job_id}/artifacts/0"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-1", 0, 1),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=300000-700000", 300_000, 700_000),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes=5-{SIZE}", 5, SIZE - 1),
        ("bytes=5-999999999999999999", 5, SIZE - 1),
        ("bytes=-3", SIZE - 3, SIZE - 1),
        (f"bytes=-{SIZE + 5}", 0, SIZE - 1),
        ("Bytes= 7-8 ", 7, 8),
    ],
)
async def test_part_of_a_file(
    client: httpx2.AsyncClient, worker: FakeWorker, asked: str, first: int, last: int
) -> None:
    """A range is answered with 206, its bytes, its place in the file, and the headers of the whole."""
    path = await stored(client, worker)

    part, whole = await client.get(path, headers={"Range": asked}), await client.get(path)

    assert (part.status_code, part.content) == (206, DATA[first : last + 1])
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert part.headers["Content-Length"] == str(last + 1 - first)
    assert "Content-Range" not in whole.headers
    assert whole.headers["Accept-Ranges"] == "bytes"
    for name in ("Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Type", "ETag"):
        assert part.headers[name] == whole.headers[name]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 1}", "bytes=-0"])
async def test_part_behind_the_end(client: httpx2.AsyncClient, worker: FakeWorker, asked: str) -> None:
    """A range that begins behind the end is 416, which tells how long the file is."""
    path = await stored(client, worker)

    answer = await client.get(path, headers={"Range": asked})

    assert (answer.status_code, answer.json()["code"]) == (416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
    assert answer.headers["Accept-Ranges"] == "bytes"


async def test_empty_file_has_no_part(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Every range of an empty file is 416."""
    path = await stored(client, worker, b"")
    for asked in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        answer = await client.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,4-5",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=1",
        "lines=0-1",
        "0-1",
        "",
        "bytes=" + "9" * 5000 + "-",
        "bytes=0-1-2",
    ],
)
async def test_other_ranges_are_the_whole_file(client: httpx2.AsyncClient, worker: FakeWorker, asked: str) -> None:
    """Several ranges, other units and what is no range are answered with the whole file."""
    path = await stored(client, worker)

    answer = await client.get(path, headers={"Range": asked})

    assert (answer.status_code, len(answer.content)) == (200, SIZE)


async def test_two_range_headers_are_the_whole_file(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Two headers are several ranges."""
    path = await stored(client, worker)
    answer = await client.get(path, headers=[("Range", "bytes=0-1"), ("Range", "bytes=4-5")])
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (ETAG, 206),
        (f"W/{ETAG}", 200),
        ('"other"', 200),
        (ETAG.strip('"'), 200),
        ("*", 200),
        ("Tue, 01 Dec 2026 10:00:00 GMT", 200),
    ],
)
async def test_part_of_the_file_that_is_known(
    client: httpx2.AsyncClient, worker: FakeWorker, known: str, status: int
) -> None:
    """With If-Range the part comes only for the file's own ETag, and otherwise the whole."""
    path = await stored(client, worker)

    answer = await client.get(path, headers={"Range": "bytes=2-3", "If-Range": known})

    assert (answer.status_code, answer.content) == (status, DATA[2:4] if status == 206 else DATA)


async def test_range_behind_the_end_of_another_file(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Where If-Range names another file, a range that this one has not is no fault."""
    path = await stored(client, worker)
    answer = await client.get(path, headers={"Range": f"bytes={SIZE}-", "If-Range": '"other"'})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


async def test_known_file_goes_before_its_part(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A client that has the file gets 304, whatever part it asks for."""
    path = await stored(client, worker)
    answer = await client.get(path, headers={"Range": f"bytes={SIZE}-", "If-None-Match": ETAG})
    assert answer.status_code == 304


async def test_head_has_no_part(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """HEAD tells of the whole file, and that parts can be had."""
    path = await stored(client, worker)

    answer = await client.head(path, headers={"Range": "bytes=0-1"})

    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(SIZE))
    assert answer.headers["Accept-Ranges"] == "bytes"


async def test_part_of_another_format(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Parts of a JPEG that is made on request fit together; its ETag is weak, so If-Range gets the whole."""
    path = await stored(client, worker, stored_image()) + "?format=jpeg"
    whole = await client.get(path)
    size = len(whole.content)

    parts = [await client.get(path, headers={"Range": asked}) for asked in ("bytes=0-9", "bytes=10-")]

    assert [part.status_code for part in parts] == [206, 206]
    assert b"".join(part.content for part in parts) == whole.content
    assert [part.headers["Content-Range"] for part in parts] == [f"bytes 0-9/{size}", f"bytes 10-{size - 1}/{size}"]
    asked = {"Range": "bytes=0-9", "If-Range": whole.headers["ETag"]}
    assert (await client.get(path, headers=asked)).content == whole.content
    assert (await client.get(path, headers={"Range": f"bytes={size}-"})).status_code == 416


async def test_part_of_an_input(client: httpx2.AsyncClient) -> None:
    """A sound that was sent in comes in parts as well, since pages play it."""
    sound = sine()
    sent = await client.post("/v1/inputs", content=sound)
    path = f"/v1/inputs/{sent.json()['id']}/file"
    size = sent.json()["bytes"]

    whole, head = await client.get(path), await client.head(path, headers={"Range": "bytes=0-1"})
    parts = [await client.get(path, headers={"Range": asked}) for asked in ("bytes=0-1", "bytes=2-")]
    behind = await client.get(path, headers={"Range": f"bytes={size}-"})

    assert [part.status_code for part in parts] == [206, 206]
    assert b"".join(part.content for part in parts) == whole.content
    assert parts[1].headers["Content-Range"] == f"bytes 2-{size - 1}/{size}"
    assert (whole.status_code, whole.headers["Accept-Ranges"], head.status_code) == (200, "bytes", 200)
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{size}")


async def test_lost_object_has_no_part(client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends) -> None:
    """A part of an object that is gone, or shorter than its record says, is a whole 404."""
    path = await stored(client, worker)
    key = f"jobs/{path.split('/')[3]}/{ETAG.strip(chr(34))}.png"
    await backends.objects.put(key, DATA[:10], "image/png")
    asked = {"Range": "bytes=10-20"}

    shorter = await client.get(path, headers=asked)
    await backends.objects.delete([key])
    gone = await client.get(path, headers=asked)

    assert [(each.status_code, each.json()["code"]) for each in (shorter, gone)] == [(404, "object-not-found")] * 2
