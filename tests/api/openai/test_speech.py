"""/v1/audio/speech: what its body takes and refuses, and what the answers are."""

import asyncio
from typing import Any

import httpx2
import pytest

from services.common.backends import Backends
from services.common.schemas import State
from tests.support.fakes import FakeWorker, stored_image
from tests.support.sounds import Heard, sine, wav_of

pytestmark = pytest.mark.anyio

SPEECH = "/v1/audio/speech"
BODY = {"model": "tts-1", "input": "Your mug is ready.", "voice": "alloy"}
STORED = sine(facts={"prompt": "Your mug is ready."})


async def spoken(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, sound: bytes = STORED, **asked: Any
) -> tuple[httpx2.Response, dict[str, Any]]:
    """Ask for speech, have it made, and return the answer and the parameters of its job."""
    asking = asyncio.create_task(client.post(SPEECH, json={**BODY, **asked}))
    async with asyncio.timeout(10):
        while not (jobs := [job for job in await backends.statuses.list() if job.state is State.QUEUED]):
            assert not asking.done(), (await asking).text
            await asyncio.sleep(0.01)
        await worker.succeed(jobs[0].job_id, sound, media_type="audio/wav")
        return await asking, jobs[0].message.params


@pytest.mark.parametrize(
    ("name", "media_type", "codec"),
    [
        (None, "audio/mpeg", "mp3float"),
        ("mp3", "audio/mpeg", "mp3float"),
        ("opus", "audio/ogg", "opus"),
        ("aac", "audio/mp4", "aac"),
        ("flac", "audio/flac", "flac"),
        ("wav", "audio/wav", "pcm_s16le"),
    ],
)
async def test_answer_is_the_file(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, name: str | None, media_type: str, codec: str
) -> None:
    """The answer is the sound in the format asked for, MP3 without one, marked as generated, with its job's id."""
    answer, _ = await spoken(client, backends, worker, response_format=name)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    heard = Heard(answer.content)
    assert heard.codec == codec
    assert heard.pitch == pytest.approx(440, abs=5)
    assert (b"trainedAlgorithmicMedia" in answer.content) is (name != "wav")  # which is as the fake worker stored it
    job = (await client.get(f"/v1/jobs/{answer.headers['X-Job-Id']}")).json()
    assert (job["state"], job["model"]) == ("succeeded", "hibari")


@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (44_100, 2)])
async def test_pcm(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker, rate: int, channels: int
) -> None:
    """PCM is bare samples, 24,000 of 16 bits a second, whatever is stored."""
    answer, _ = await spoken(client, backends, worker, sine(rate, channels), response_format="pcm")
    assert answer.headers["Content-Type"] == "audio/pcm"
    assert len(answer.content) == pytest.approx(24_000 * 0.5 * 2, rel=0.01)
    assert Heard(wav_of(answer.content)).pitch == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"voice": "heart", "speed": 1.0}),
        ({"voice": None}, {"voice": "heart", "speed": 1.0}),
        ({"voice": "heart", "speed": 1.5}, {"voice": "heart", "speed": 1.5}),
        ({"voice": {"id": "heart"}, "seed": 7}, {"voice": "heart", "speed": 1.0, "seed": 7}),
        ({"instructions": " ", "stream_format": "audio", "unknown": None}, {"voice": "heart", "speed": 1.0}),
        ({"model": "hibari"}, {"voice": "heart", "speed": 1.0}),
        ({"model": "gpt-4o-mini-tts"}, {"voice": "heart", "speed": 1.0}),
    ],
)
async def test_job(
    client: httpx2.AsyncClient,
    backends: Backends,
    worker: FakeWorker,
    asked: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """The job has the text, voice and speed asked for; OpenAI's usual voice is the model's, and null is left out."""
    _, params = await spoken(client, backends, worker, **asked)
    seed = params.pop("seed")
    assert {"seed": seed, **params} == {"seed": seed, "text": BODY["input"], **expected}


@pytest.mark.parametrize(
    ("asked", "param", "told"),
    [
        ({"voice": "nova"}, "voice", "allows heart"),
        ({"voice": {"id": "nova"}}, "voice", "allows heart"),
        ({"voice": {"name": "heart"}}, "voice", "must be text"),
        ({"speed": 9}, "speed", "4"),
        ({"speed": "1"}, "speed", "number"),
        ({"input": ""}, "input", "at least 1"),
        ({"input": " \n"}, "input", "character that shows"),
        ({"input": "x" * 5001}, "input", "5000"),
        ({"instructions": "Whisper."}, "instructions", "cannot be told how to speak"),
        ({"stream_format": "sse"}, "stream_format", "audio"),
        ({"response_format": "ogg"}, "response_format", "mp3"),
        ({"model": "studio-tiny"}, "model", "studio-tiny makes no sound from words"),
        ({"model": "whisper-1"}, "model", "whisper-tiny-en makes no sound from words"),
        ({"stream": True}, "stream", "unknown"),
    ],
)
async def test_refused(
    client: httpx2.AsyncClient, backends: Backends, asked: dict[str, Any], param: str, told: str
) -> None:
    """What is not done is refused by the client's own name for it, and makes no job."""
    answer = await client.post(SPEECH, json={**BODY, **asked})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert told in error["message"]
    assert await backends.statuses.list() == []


async def test_unknown_model(client: httpx2.AsyncClient) -> None:
    """A model that is not on offer is a 404 that names those that speak."""
    answer = await client.post(SPEECH, json={**BODY, "model": "tts-9"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "hibari" in error["message"]
    assert "studio-tiny" not in error["message"]


async def test_default_model_that_does_not_speak(client: httpx2.AsyncClient) -> None:
    """Without a model the default one is asked, which is refused if it draws."""
    answer = await client.post(SPEECH, json={"input": "Ready."})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_failed_job(client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker) -> None:
    """A job that fails for good is told with its reason, and the client does not repeat it."""
    asking = asyncio.create_task(client.post(SPEECH, json=BODY))
    async with asyncio.timeout(10):
        while not (jobs := await backends.statuses.list()):
            await asyncio.sleep(0.01)
    await worker.fail(jobs[0].job_id)
    answer = await asking
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "out-of-memory")
    assert (answer.headers["x-should-retry"], answer.headers["X-Job-Id"]) == ("false", jobs[0].job_id)


async def test_file_that_is_no_sound(client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker) -> None:
    """A result that cannot be converted is refused with the id of its job, and not repeated."""
    answer, _ = await spoken(client, backends, worker, stored_image())
    assert (answer.status_code, answer.headers["x-should-retry"]) == (400, "false")
    assert answer.headers["X-Job-Id"]


async def test_repeated_request_is_answered_from_the_same_job(
    client: httpx2.AsyncClient, backends: Backends, worker: FakeWorker
) -> None:
    """A request with an Idempotency-Key that is sent again gets the sound of the first."""
    headers = {"Idempotency-Key": '"mug"'}
    asking = asyncio.create_task(client.post(SPEECH, json=BODY, headers=headers))
    async with asyncio.timeout(10):
        while not (jobs := await backends.statuses.list()):
            await asyncio.sleep(0.01)
    await worker.succeed(jobs[0].job_id, STORED, media_type="audio/wav")
    first, again = await asking, await client.post(SPEECH, json=BODY, headers=headers)
    assert first.content == again.content
    assert first.headers["X-Job-Id"] == again.headers["X-Job-Id"] == jobs[0].job_id


async def test_schema_names_the_models(client: httpx2.AsyncClient) -> None:
    """The schema of the body names the models that speak, by name and alias, and no others."""
    schema = (await client.get("/openapi.json")).json()["components"]["schemas"]["SpeechRequest"]
    assert schema["properties"]["model"]["enum"] == ["hibari", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"]
    assert schema["required"] == ["input", "model"], "the default model draws"
