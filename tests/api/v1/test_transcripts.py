"""Transcripts in other formats than the stored one, through HTTP."""

import json

import httpx2
import pytest

from tests.api.v1.test_jobs import submit
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio

SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 1.5, "text": " Your <mug> is", "words": []},
    {"id": 1, "start": 1.5, "end": 3661.0006, "text": " ready\n& hot --> now", "words": []},
    {"id": 2, "start": 3662, "end": 3663, "text": "  ", "words": []},
]
STORED = {"text": " Your <mug> is ready & hot ☕", "language": "en", "duration": 3663.0, "segments": SEGMENTS}


async def made(
    client: httpx2.AsyncClient, worker: FakeWorker, stored: object = STORED, media_type: str = "application/json"
) -> str:
    """Return the path of a finished job's transcript; `stored` may be the bytes of another file."""
    job_id = await submit(client)
    data = stored if isinstance(stored, bytes) else json.dumps(stored).encode()
    await worker.succeed(job_id, data, media_type=media_type)
    return f"/v1/jobs/{job_id}/artifacts/0"


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("txt", "text/plain; charset=utf-8", "Your <mug> is ready & hot ☕\n"),
        (
            "srt",
            "application/x-subrip",
            (
                "1\n00:00:00,000 --> 00:00:01,500\nYour <mug> is\n\n"
                "2\n00:00:01,500 --> 01:01:01,001\nready & hot --> now\n"
            ),
        ),
        (
            "vtt",
            "text/vtt; charset=utf-8",
            (
                "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nYour &lt;mug&gt; is\n\n"
                "00:00:01.500 --> 01:01:01.001\nready &amp; hot --&gt; now\n"
            ),
        ),
    ],
)
async def test_transcript_in_another_format(
    client: httpx2.AsyncClient, worker: FakeWorker, name: str, media_type: str, expected: str
) -> None:
    """A transcript comes as plain text or as subtitles with its times, under a name that fits."""
    path = await made(client, worker)

    answer = await client.get(f"{path}.{name}?format={name}")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.content.decode() == expected
    assert answer.headers["Content-Disposition"].endswith(f'-0.{name}"')


@pytest.mark.parametrize("query", ["", "?format=json", "?metadata=0"])
async def test_stored_transcript(client: httpx2.AsyncClient, worker: FakeWorker, query: str) -> None:
    """The stored JSON comes byte for byte."""
    path = await made(client, worker)
    answer = await client.get(f"{path}{query}")
    assert (answer.json(), answer.headers["Content-Type"]) == (STORED, "application/json")


@pytest.mark.parametrize("name", ["srt", "vtt"])
@pytest.mark.parametrize(
    "stored",
    [
        {"text": "mug"},
        {"text": "mug", "segments": []},
        {"text": "mug", "segments": [{"text": "mug"}]},
        {"text": "mug", "segments": [{"text": "mug", "start": -1, "end": 2}]},
        {"text": "mug", "segments": [{"text": "mug", "start": 0, "end": None}]},
        b'{"text": "mug", "segments": [{"text": "mug", "start": 0, "end": Infinity}]}',
    ],
)
async def test_transcript_without_times(
    client: httpx2.AsyncClient, worker: FakeWorker, name: str, stored: object
) -> None:
    """Without times there are no subtitles."""
    path = await made(client, worker, stored)
    assert (await client.get(f"{path}?format={name}")).status_code == 422


@pytest.mark.parametrize("name", ["txt", "srt", "vtt"])
@pytest.mark.parametrize("stored", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, {"text": 1}, {"words": []}])
async def test_what_is_no_transcript(client: httpx2.AsyncClient, worker: FakeWorker, name: str, stored: object) -> None:
    """A file that is no transcript is refused in other formats."""
    path = await made(client, worker, stored)
    answer = await client.get(f"{path}?format={name}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/format")


@pytest.mark.parametrize("query", ["", "?format=txt", "?format=vtt"])
async def test_text_is_shown_in_our_pages(client: httpx2.AsyncClient, worker: FakeWorker, query: str) -> None:
    """A text may be framed by our own pages, and can load and run nothing, whatever is in it."""
    path = await made(client, worker)
    policy = (await client.get(f"{path}{query}")).headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"


async def test_silence(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A recording in which nothing was said has subtitles without a cue."""
    path = await made(client, worker, {"text": "", "segments": []})
    answers = {name: (await client.get(f"{path}?format={name}")).text for name in ("txt", "srt", "vtt")}
    assert answers == {"txt": "\n", "srt": "", "vtt": "WEBVTT\n"}


async def test_texts_of_other_kinds(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A plain text is offered as it is, a file of an unknown kind only as it is stored."""
    path = await made(client, worker, b"a text", "text/plain")
    assert (await client.get(f"{path}?format=txt")).text == "a text"
    assert (await client.get(f"{path}?format=srt")).json()["errors"][0]["allowed"] == ["txt"]
    path = await made(client, worker, b"a file", "x/y")
    assert (await client.get(f"{path}?format=txt")).json()["errors"][0]["allowed"] == []
    assert (await client.get(path)).content == b"a file"
