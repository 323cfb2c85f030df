"""Speech through the front door, said by a real voice and heard by a real listener."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
import redis

from tests.support.models.speech_models import whisper, words_of
from tests.support.sounds import Heard
from tests.support.system import ROOT, System, running_system

__all__ = ["whisper"]

MODEL, LISTENER = "hibari", "whisper-tiny-en"
SAID = "Your mug is ready. Please collect it before Friday."
LONG = "This sentence is one of very many. " * 140


@pytest.fixture(scope="module", params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A gateway, a worker that speaks and one that listens, with the catalogue of the project."""
    request.getfixturevalue("whisper")  # so that the worker need not fetch its weights
    backends: dict[str, str] = {}
    if request.param == "distributed":
        stack = request.getfixturevalue("stack")
        with redis.Redis.from_url(stack.statuses_url) as client:
            client.flushall()
        backends = stack.environment()
    folder = tmp_path_factory.mktemp("speech")
    with running_system(folder, backends, ROOT / "models" / "models.toml") as running:
        running.start_gateway()
        running.start_worker("--model", MODEL)
        running.start_worker("--model", LISTENER)
        yield running


@pytest.fixture
def client(system: System) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{system.url}/v1", api_key="unused") as connected:
        yield connected


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav"])
def test_formats(client: openai.OpenAI, name: Literal["mp3", "opus", "aac", "flac", "wav"]) -> None:
    """OpenAI's client gets the sound as bytes in each of its formats, marked as generated."""
    made = client.audio.speech.create(model="tts-1", voice="alloy", input=SAID, response_format=name)
    assert 3 < Heard(made.content).seconds < 6
    assert b"trainedAlgorithmicMedia" in made.content
    assert made.response.headers["X-Job-Id"]


def test_stream_to_a_file(client: openai.OpenAI, tmp_path: Path) -> None:
    """The client's way to stream into a file works, here for bare samples at twice the speed."""
    file = tmp_path / "mug.pcm"
    asked: dict[str, Any] = {"model": MODEL, "voice": "heart", "input": SAID, "response_format": "pcm"}
    with client.audio.speech.with_streaming_response.create(**asked, speed=2.0) as answer:
        answer.stream_to_file(file)
    usual = client.audio.speech.create(**asked).content
    assert len(file.read_bytes()) == pytest.approx(len(usual) / 2, rel=0.2)


def test_same_seed_same_bytes(client: openai.OpenAI) -> None:
    """The same text, seed, voice and speed give the same file, and another seed another one."""
    files = [
        client.audio.speech.create(
            model=MODEL, voice="heart", input=SAID, response_format="wav", extra_body={"seed": seed}
        ).content
        for seed in (3, 3, 4)
    ]
    assert files[0] == files[1] != files[2]


def test_refusals_are_openais(client: openai.OpenAI) -> None:
    """The client raises its own errors: for a voice, for a model, and for a text without a sound, none repeated."""
    with pytest.raises(openai.BadRequestError, match="heart") as voice:
        client.audio.speech.create(model=MODEL, voice="nova", input=SAID)
    with pytest.raises(openai.NotFoundError, match="hibari"):
        client.audio.speech.create(model="tts-9", voice="alloy", input=SAID)
    with pytest.raises(openai.BadRequestError, match="words that it can say"):
        client.audio.speech.create(model=MODEL, voice="alloy", input="你好")
    assert voice.value.param == "voice"


def test_unsaid_words_are_told(system: System, client: openai.OpenAI) -> None:
    """The job of a sound lists the words that were left out."""
    made = client.audio.speech.create(model=MODEL, voice="alloy", input="Hello ☕ there.")
    job = system.client.get(f"/v1/jobs/{made.response.headers['X-Job-Id']}").json()
    (warning,) = job["warnings"]
    assert (warning["code"], "☕" in warning["message"]) == ("words-unsaid", True)
    assert job["artifacts"][0]["duration_seconds"] == pytest.approx(Heard(made.content).seconds, abs=0.1)


def test_several_texts(system: System) -> None:
    """Texts that wait together are all said, each as long as if it were alone."""
    ids = [_submit(system, f"{'The mug is ready. ' * count}") for count in (1, 2, 3, 4)]
    jobs = [system.wait(each) for each in ids]
    assert [job["state"] for job in jobs] == ["succeeded"] * 4
    seconds = [job["artifacts"][0]["duration_seconds"] for job in jobs]
    assert seconds == sorted(seconds)
    assert seconds[3] == pytest.approx(4 * seconds[0], rel=0.3)


def test_cancel_between_sentences(system: System) -> None:
    """A running job ends soon after it is canceled, and has progress in sentences until then."""
    ids = [_submit(system, LONG) for _ in range(6)]
    job = system.wait_for(ids[0], lambda job: bool((job["progress"] or {}).get("step")))
    assert job["progress"]["total"] >= 140
    for each in ids:
        system.client.post(f"/v1/jobs/{each}/cancel")
    assert [system.wait(each)["state"] for each in ids].count("canceled") >= 5
    assert system.wait(_submit(system, "Ready."))["state"] == "succeeded"


def test_generate(system: System, tmp_path: Path) -> None:
    """`studio generate` writes an MP3 of a text, and the text of that; `fetch` saves the stored sound."""
    made = _studio(system, tmp_path, "generate", "--model", MODEL, SAID, "-o", "mug.mp3", "--speed", "0.9", "--json")
    assert Heard((tmp_path / "mug.mp3").read_bytes()).codec == "mp3float"
    job_id = made.partition('"id": "')[2].partition('"')[0]
    assert _studio(system, tmp_path, "fetch", job_id).strip() == "speech.wav"
    assert Heard((tmp_path / "speech.wav").read_bytes()).codec == "pcm_s16le"
    written = _studio(system, tmp_path, "generate", "--model", LISTENER, "--audio", "mug.mp3", "--language", "en")
    assert written.strip() == "transcript.txt"
    assert words_of((tmp_path / "transcript.txt").read_text()) == words_of(SAID)


@pytest.mark.parametrize("name", ["mp3", "wav", "opus"])
def test_said_and_read_back(client: openai.OpenAI, name: Literal["mp3", "wav", "opus"]) -> None:
    """A sentence that is said and written down by OpenAI's client has the same words."""
    said = client.audio.speech.create(model="tts-1", voice="alloy", input=SAID, response_format=name)
    heard = client.audio.transcriptions.create(model="whisper-1", file=(f"speech.{name}", said.content))
    assert words_of(heard.text) == words_of(SAID)


@pytest.fixture(scope="module")
def recording(system: System) -> bytes:
    with openai.OpenAI(base_url=f"{system.url}/v1", api_key="unused") as client:
        return client.audio.speech.create(model="tts-1", voice="alloy", input=SAID).content


def test_times(client: openai.OpenAI, recording: bytes) -> None:
    """verbose_json has segments, and words with times if they are asked for."""
    heard = client.audio.transcriptions.create(
        model=LISTENER,
        file=("speech.mp3", recording),
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert heard.words is not None
    assert heard.segments is not None
    assert [word.word for word in heard.words][:4] == ["Your", "mug", "is", "ready."]
    assert all(0 <= word.start < word.end <= heard.duration for word in heard.words)
    assert (heard.language, words_of(heard.segments[0].text)[:2]) == ("en", ["your", "mug"])
    assert heard.duration == pytest.approx(Heard(recording).seconds, abs=0.2)


@pytest.mark.parametrize(("form", "begin"), [("text", "Your mug"), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")])
def test_plain_formats(
    client: openai.OpenAI, recording: bytes, form: Literal["text", "srt", "vtt"], begin: str
) -> None:
    """Text and subtitles come as they are, with all that was said."""
    heard = client.audio.transcriptions.create(model=LISTENER, file=("speech.mp3", recording), response_format=form)
    assert isinstance(heard, str)
    assert heard.startswith(begin)
    assert "before Friday" in heard


def test_refused_recordings(client: openai.OpenAI, recording: bytes) -> None:
    """The client raises its own errors for a language, a file that is no sound, and a model that draws."""
    asked: dict[str, Any] = {"model": LISTENER, "file": ("speech.mp3", recording)}
    with pytest.raises(openai.BadRequestError, match="en") as language:
        client.audio.transcriptions.create(**asked, language="de")
    assert language.value.param == "language"
    with pytest.raises(openai.APIStatusError, match="a sound as WAV") as no_sound:
        client.audio.transcriptions.create(**{**asked, "file": ("speech.mp3", b"no sound at all")})
    assert no_sound.value.status_code == 415
    with pytest.raises(openai.BadRequestError, match=LISTENER):
        client.audio.transcriptions.create(**{**asked, "model": "studio-tiny"})


def test_read_back_by_the_api(system: System, recording: bytes) -> None:
    """A job names a recording that was sent in; its artifact is a transcript, in every format."""
    sent = system.client.post("/v1/inputs", content=recording, headers={"Content-Type": "audio/mpeg"}).json()
    made = system.client.post("/v1/jobs", json={"model": LISTENER, "audio": sent["id"]})
    job = system.wait(made.json()["id"])
    (artifact,) = job["artifacts"]
    assert (job["state"], artifact["media_type"], artifact["characters"]) == (
        "succeeded",
        "application/json",
        len(SAID),
    )
    assert words_of(system.client.get(f"{artifact['url']}?format=txt").text) == words_of(SAID)


def _submit(system: System, text: str) -> str:
    answer = system.client.post("/v1/jobs", json={"model": MODEL, "text": text})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def _studio(system: System, folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "services", *arguments]
    environment = {**os.environ, **system.environment, "STUDIO_URL": system.url}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
