"""/v1/audio/transcriptions: what its form takes and refuses, and what the answers are."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from services.common.backends import Backends
from services.common.schemas import State
from tests.support.fakes import FakeWorker, stored_image
from tests.support.sounds import sine

pytestmark = pytest.mark.anyio

URL = "/v1/audio/transcriptions"
SOUND = sine()
WORDS = [
    {"word": " Red", "start": 0.1, "end": 0.4, "probability": 0.9},
    {"word": " mug.", "start": 0.4, "end": 0.8, "probability": 0.8},
]
SEGMENT = {"id": 0, "start": 0.1, "end": 0.8, "text": " Red mug.", "words": WORDS}
TRANSCRIPT = {"text": "Red mug.", "language": "en", "duration": 2.6, "segments": [SEGMENT]}
SHOWN = {"id": 0, "start": 0.1, "end": 0.8, "text": " Red mug."}
PLAIN_WORDS = [{**word, "word": str(word["word"]).strip()} for word in WORDS]


async def asked(
    client: httpx2.AsyncClient, headers: dict[str, str] | None = None, sound: bytes = SOUND, **fields: Any
) -> httpx2.Response:
    form = {name: value for name, value in {"model": "whisper-1", **fields}.items() if value is not None}
    return await client.post(URL, data=form, files={"file": ("a.wav", sound)}, headers=headers)


async def written(client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, **fields: Any) -> httpx2.Response:
    """Ask for a transcription, have it made, and return the answer."""
    asking = asyncio.create_task(asked(client, **fields))
    await succeed(backends, worker, asking)
    return await asking


async def succeed(backends: Backends, worker: FakeWorker, asking: "asyncio.Task[httpx2.Response]") -> None:
    async with asyncio.timeout(20):
        while not (jobs := [job for job in await backends.statuses.list() if job.state is State.QUEUED]):
            assert not asking.done(), (await asking).text
            await asyncio.sleep(0.01)
    data = json.dumps(TRANSCRIPT).encode()
    await worker.succeed(jobs[0].job_id, data, media_type="application/json")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"text": "Red mug.", "usage": {"type": "duration", "seconds": 3}}),
        ({"response_format": "json"}, {"text": "Red mug.", "usage": {"type": "duration", "seconds": 3}}),
        ({"response_format": "verbose_json"}, {"segments": [SHOWN]}),
        ({"response_format": "verbose_json", "timestamp_granularities[]": "word"}, {"words": PLAIN_WORDS}),
        (
            {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
            {"segments": [SHOWN], "words": PLAIN_WORDS},
        ),
    ],
)
async def test_json(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The answer has the text, and in verbose_json the times that were asked for."""
    answer = await written(client, backends, worker, **fields)
    verbose = {"task": "transcribe", "language": "en", "duration": 2.6} if "verbose_json" in fields.values() else {}
    usage = {"text": "Red mug.", "usage": {"type": "duration", "seconds": 3}}
    assert (answer.status_code, answer.json()) == (200, {**usage, **verbose, **expected})


@pytest.mark.parametrize(
    ("name", "media_type", "text"),
    [
        ("text", "text/plain", "Red mug.\n"),
        ("srt", "application/x-subrip", "1\n00:00:00,100 --> 00:00:00,800\nRed mug.\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.100 --> 00:00:00.800\nRed mug.\n"),
    ],
)
async def test_plain(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, name: str, media_type: str, text: str
) -> None:
    """Text and subtitles come as they are, not in JSON."""
    answer = await written(client, backends, worker, response_format=name)
    assert (answer.headers["Content-Type"].partition(";")[0], answer.text) == (media_type, text)


async def test_job(client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker) -> None:
    """The job has the recording as an input, which stays as long as the job."""
    answer = await written(client, backends, worker, language="en", temperature="0", prompt="", stream="false")
    job = (await client.get(f"/v1/jobs/{answer.headers['X-Job-Id']}")).json()
    assert (job["model"], job["params"]["language"]) == ("whisper-tiny-en", "en")
    kept = await client.get(f"/v1/inputs/{job['params']['audio']}/file")
    assert kept.content == SOUND


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        ({"language": "de"}, "language", "allows en"),
        ({"language": "English"}, "language", "match"),
        ({"response_format": "diarized_json"}, "response_format", "verbose_json"),
        ({"prompt": "Mugs, vases."}, "prompt", "take no hints"),
        ({"temperature": "0.5"}, "temperature", "0"),
        ({"stream": "true"}, "stream", "false"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities", "verbose_json"),
        (
            {"response_format": "verbose_json", "timestamp_granularities[]": "letter"},
            "timestamp_granularities",
            "segment",
        ),
        ({"include[]": "logprobs"}, "include", "unknown"),
        ({"model": "hibari"}, "model", "hibari writes no recordings down"),
        ({"model": None}, "model", "studio-tiny writes no recordings down"),
        ({"sound": stored_image()}, "file", "audio"),
    ],
)
async def test_refused(
    client: httpx2.AsyncClient, backends: Backends, fields: dict[str, Any], param: str, told: str
) -> None:
    """What is not done is refused by the client's own name for it, and makes no job."""
    answer = await asked(client, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert told in error["message"]
    assert await backends.statuses.list() == []


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"data": {"model": "whisper-1"}, "files": {"other": ("a", b"")}}, 400),
        ({"data": {"model": "whisper-1"}}, 415),
        ({"json": {"model": "whisper-1"}}, 415),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"data": {"model": "whisper-1"}, "files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, 400),
        ({"data": {"model": "whisper-9"}, "files": {"file": ("a.wav", SOUND)}}, 404),
        ({"data": {"model": "whisper-1"}, "files": {"file": ("a.wav", b"")}}, 422),
        ({"data": {"model": "whisper-1"}, "files": {"file": ("a.wav", b"no sound")}}, 415),
        ({"data": {"model": "whisper-1", "language": "x" * 5000}, "files": {"file": ("a.wav", SOUND)}}, 400),
    ],
)
async def test_broken_requests(
    client: httpx2.AsyncClient, backends: Backends, request_of: dict[str, Any], status: int
) -> None:
    """A form that is broken, or without a recording, is refused in OpenAI's shape."""
    answer = await client.post(URL, **request_of)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert await backends.statuses.list() == []


async def test_sent_again(client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker) -> None:
    """A recording that is sent again with its Idempotency-Key is answered from the same job, and another one is not."""
    key = {"Idempotency-Key": '"mug"'}
    asking = asyncio.create_task(asked(client, key))
    await succeed(backends, worker, asking)
    first, again = await asking, await asked(client, key)
    assert (first.text, first.headers["X-Job-Id"]) == (again.text, again.headers["X-Job-Id"])
    other = await asked(client, key, sine(seconds=0.7))
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency-mismatch")


@pytest.mark.parametrize("settings", [{"max_input_bytes": 20_000}], indirect=True)
async def test_long_recording(client: httpx2.AsyncClient) -> None:
    """A recording beyond the limit of bytes is refused."""
    answer = await asked(client, sound=sine(seconds=2))
    assert answer.status_code == 413
    assert "20000" in answer.json()["error"]["message"].replace(",", "")


async def test_schema_names_the_models(client: httpx2.AsyncClient) -> None:
    """The schema of the form has its file, and the models that write recordings down."""
    document = (await client.get("/openapi.json")).json()
    form = document["paths"][URL]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["model"]["enum"] == ["whisper-tiny-en", "whisper-1"]
    assert form["required"] == ["file", "model"], "the default model draws"
    assert "timestamp_granularities[]" in form["properties"]
