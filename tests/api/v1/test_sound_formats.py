"""Sound in other formats than the stored one, through HTTP."""

import json
import sys

import httpx2
import numpy as np
import pytest

from services.common.provenance.mark import Mark
from tests.api.v1.test_jobs import submit
from tests.support.fakes import FakeWorker
from tests.support.sounds import Heard, sine

pytestmark = pytest.mark.anyio

HOW = {"prompt": "Your mug is ready ☕", "voice": "hibari", "seed": "7", "software": "commercial-studio 1"}
FORMATS = {
    "mp3": ("audio/mpeg", "mp3", "mp3float"),
    "opus": ("audio/ogg", "opus", "opus"),
    "flac": ("audio/flac", "flac", "flac"),
    "aac": ("audio/mp4", "m4a", "aac"),
}


async def made(client: httpx2.AsyncClient, worker: FakeWorker, data: bytes, media_type: str = "audio/wav") -> str:
    """Return the path of a finished job's sound."""
    job_id = await submit(client)
    await worker.succeed(job_id, data, media_type=media_type)
    return f"/v1/jobs/{job_id}/artifacts/0"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (22_050, 1), (44_100, 2), (7000, 1), (48_000, 2)])
async def test_sound_in_another_format(
    client: httpx2.AsyncClient, worker: FakeWorker, name: str, rate: int, channels: int
) -> None:
    """The same sound comes in another format under a name that fits, whatever its rate, and says how it was made."""
    path = await made(client, worker, sine(rate, channels, facts=HOW))
    media_type, extension, codec = FORMATS[name]

    answer = await client.get(f"{path}?format={name}&download=1")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.headers["Content-Disposition"].endswith(f'-0.{extension}"')
    heard = Heard(answer.content)
    assert (heard.codec, heard.channels) == (codec, channels)
    assert abs(heard.pitch - 440) < 10
    assert abs(np.abs(heard.samples).max() - 8000 / 32768) < 0.06
    assert 0.5 <= heard.seconds < 0.65
    assert heard.rate == (
        48_000 if name == "opus" else max(rate, 7350 if name == "aac" else 8000 if name == "mp3" else 0)
    )
    assert json.loads(heard.tags["comment"]) == HOW


async def test_flac_loses_nothing(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """FLAC has the samples of the stored sound, each of them."""
    data = sine(22_050)
    path = await made(client, worker, data)
    flac = Heard((await client.get(f"{path}?format=flac")).content)
    assert np.array_equal(flac.samples, Heard(data).samples)


async def test_stored_sound_is_not_touched(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The stored format comes byte for byte, also when it is asked for by name, and in parts."""
    data = sine(facts=HOW)
    path = await made(client, worker, data)

    plain, named = await client.get(path), await client.get(f"{path}?format=wav")
    part = await client.get(path, headers={"Range": "bytes=0-1"})

    assert plain.content == named.content == data
    assert (plain.headers["Content-Type"], plain.headers["X-Content-Type-Options"]) == ("audio/wav", "nosniff")
    assert (part.status_code, part.content) == (206, data[:2])


@pytest.mark.parametrize("name", ["wav", *FORMATS])
async def test_sound_without_metadata(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """`?metadata=0` leaves out how the sound was made, and keeps the mark and the sound."""
    data = sine(facts=HOW)
    path = await made(client, worker, data)
    whole, bare = [(await client.get(f"{path}?format={name}{more}")).content for more in ("", "&metadata=0")]

    assert b"Your mug" in whole
    assert not any(word in bare for word in (b"Your mug", b"hibari", b"commercial-studio"))
    assert np.array_equal(Heard(bare).samples, Heard(whole).samples)
    mark = Mark.found_in(bare)
    assert mark is not None
    assert mark.source_type == "trainedAlgorithmicMedia"


@pytest.mark.parametrize("name", ["png", "txt", "ogg", "pcm"])
async def test_sound_is_not_offered_as(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """A format of other media is 422 and says which there are for sound."""
    path = await made(client, worker, sine())
    answer = await client.get(f"{path}?format={name}")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["allowed"]) == (422, ["aac", "flac", "mp3", "opus", "wav"])


async def test_sound_has_no_sides(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A size in pixels is refused for sound."""
    path = await made(client, worker, sine())
    answer = await client.get(f"{path}?max_side=64&format=mp3")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/max_side")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("data", [b"", b"no sound", sine()[:60], b"RIFF\xff\xff\xff\xffWAVEfmt ", sine()[:20] * 9])
async def test_what_is_no_sound(client: httpx2.AsyncClient, worker: FakeWorker, data: bytes, name: str) -> None:
    """A file that is no whole WAV is refused in other formats, and still comes as it is stored."""
    path = await made(client, worker, data)
    assert (await client.get(f"{path}?format={name}")).status_code == 422
    assert (await client.get(path)).content == data


async def test_without_the_library(
    client: httpx2.AsyncClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyAV is not installed, other formats are 406 and tell what to install; the stored sound comes as ever."""
    path = await made(client, worker, sine(facts=HOW))
    monkeypatch.setitem(sys.modules, "av", None)

    answer = await client.get(f"{path}?format=mp3")

    assert (answer.status_code, answer.json()["code"]) == (406, "format-unavailable")
    assert "commercial-studio-photos-generator[speech]" in answer.json()["detail"]
    assert (await client.get(path)).status_code == 200
    assert (await client.get(f"{path}?metadata=0")).status_code == 200
