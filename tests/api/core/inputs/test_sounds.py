"""Sounds of every kind come in: they are measured, and kept as they came."""

from pathlib import Path

import httpx2
import pytest

from tests.intake.files import as_audio, as_video, wav_that_says
from tests.support.picture_files import tone

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("container", "codec", "media_type"),
    [
        ("wav", "pcm_s16le", "audio/wav"),
        ("mp3", "mp3", "audio/mpeg"),
        ("ipod", "aac", "audio/mp4"),
        ("ogg", "libopus", "audio/ogg"),
        ("flac", "flac", "audio/flac"),
        ("webm", "libopus", "audio/webm"),
    ],
)
async def test_formats(client: httpx2.AsyncClient, container: str, codec: str, media_type: str) -> None:
    """The type and the length of a sound are told by its content, and its bytes stay the same."""
    data = as_audio(container, codec, 2.0)

    view = (await client.post("/v1/inputs", content=data)).json()

    assert view["media_type"] == media_type
    assert view["seconds"] == pytest.approx(2.0, abs=0.15)
    file = await client.get(view["links"]["file"])
    assert (file.content, file.headers["Content-Type"]) == (data, media_type)


async def test_length_is_measured(client: httpx2.AsyncClient) -> None:
    """A header that tells another length than the sound has is not believed."""
    view = (await client.post("/v1/inputs", content=wav_that_says(36_000))).json()

    assert view["seconds"] == 0.1


@pytest.mark.parametrize("settings", [{"max_input_seconds": 2}], indirect=True)
async def test_length_limit(client: httpx2.AsyncClient) -> None:
    """The limit of seconds is the operator's, and holds for what is there, not for what the header says."""
    long = bytearray(as_audio("mp3", "mp3", 3.0))

    assert (await client.post("/v1/inputs", content=tone(1.9))).status_code == 201
    for data in (tone(2.1), bytes(long)):
        answer = await client.post("/v1/inputs", content=data)
        assert (answer.status_code, answer.json()["code"]) == (413, "input-too-large")
        assert "2 seconds" in answer.json()["detail"]


async def test_no_video(client: httpx2.AsyncClient) -> None:
    """A video is refused, with what to send."""
    answer = await client.post("/v1/inputs", content=as_video())

    assert (answer.status_code, answer.json()["code"]) == (415, "input-unsupported")
    assert "sound alone" in answer.json()["detail"]


async def test_without_a_decoder(client: httpx2.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the audio library the answer is 415, and tells the operator what to install."""
    (tmp_path / "av.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    answer = await client.post("/v1/inputs", content=tone(0.1))

    assert (answer.status_code, answer.json()["code"]) == (415, "input-unsupported")
    assert "[speech]" in answer.json()["detail"]
