"""Video in other formats than the stored one, through HTTP."""

import io
import sys

import av
import httpx2
import numpy as np
import pytest

from services.common.provenance.mark import Mark
from tests.api.v1.test_jobs import submit
from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page

pytestmark = pytest.mark.anyio

HOW = "a red mug that turns"
TERM = b"digitalsourcetype/trainedAlgorithmicMedia"


def clip(frames: int = 12, *, sound: bool = True) -> bytes:
    """Return an MP4 of a square that becomes brighter, half a second long, with a tone."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", "mp4") as file:
        file.metadata["comment"] = HOW
        pictures = file.add_stream("libx264", rate=24)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        tone = file.add_stream("aac", rate=24_000) if sound else None
        for number in range(frames):
            shade = np.full((64, 64, 3), 20 * number, np.uint8)
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        file.mux(pictures.encode(None))
        if tone is not None:
            wave = np.sin(2 * np.pi * 440 * np.arange(12_000) / 24_000).astype("<f4")[None]
            heard = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            heard.sample_rate = 24_000
            file.mux(tone.encode(heard))
            file.mux(tone.encode(None))
    return buffer.getvalue()


class Seen:
    """A file of video, decoded: the brightness of each picture, its codecs and its tags."""

    def __init__(self, data: bytes) -> None:
        with av.open(io.BytesIO(data), "r") as file:
            self.codecs = [stream.codec_context.name for stream in file.streams]
            self.tags = dict(file.metadata)
            self.size = file.streams.video[0].width, file.streams.video[0].height
            self.shades = [frame.to_ndarray(format="gray").mean() for frame in file.decode(video=0)]


async def made(client: httpx2.AsyncClient, worker: FakeWorker, data: bytes, media_type: str = "video/mp4") -> str:
    """Return the path of a finished job's video."""
    job_id = await submit(client)
    await worker.succeed(job_id, data, media_type=media_type)
    return f"/v1/jobs/{job_id}/artifacts/0"


@pytest.mark.parametrize("sound", [True, False], ids=["with sound", "silent"])
async def test_webm(client: httpx2.AsyncClient, worker: FakeWorker, *, sound: bool) -> None:
    """The same pictures, and the sound where there is one, come as WebM, marked as generated."""
    path = await made(client, worker, clip(sound=sound))

    answer = await client.get(f"{path}?format=webm&download=1")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "video/webm")
    assert answer.headers["Content-Disposition"].endswith('-0.webm"')
    seen = Seen(answer.content)
    assert [name.removeprefix("lib") for name in seen.codecs] == ["vp9", "opus"][: 2 if sound else 1]
    assert seen.size == (64, 64)
    assert np.abs(np.array(seen.shades) - [20 * number for number in range(12)]).max() < 8
    assert seen.tags["COMMENT"] == HOW
    assert TERM in answer.content


async def test_how_it_was_made_is_left_out(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Without metadata the MP4 has the same pictures, not encoded again, and the mark, but not how it was made."""
    stored = clip()
    path = await made(client, worker, stored)

    bare = (await client.get(f"{path}?metadata=0")).content

    assert HOW.encode() in stored
    assert HOW.encode() not in bare
    assert TERM in bare
    assert Seen(bare).shades == Seen(stored).shades


async def test_webm_is_had_as_mp4(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A video that is stored as WebM comes as MP4, too."""
    webm = (await client.get(f"{await made(client, worker, clip())}?format=webm")).content
    answer = await client.get(f"{await made(client, worker, webm, 'video/webm')}?format=mp4")
    assert Seen(answer.content).codecs == ["h264", "aac"]
    assert Mark.found_in(answer.content[answer.content.find(b"://cv.iptc") :]) is not None


async def test_what_is_no_video(
    client: httpx2.AsyncClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is no video is told by 422, and a gateway without PyAV by 406 with the cure."""
    path = await made(client, worker, b"no video")
    refused = await client.get(f"{path}?format=webm")
    monkeypatch.setitem(sys.modules, "av", None)
    absent = await client.get(f"{path}?format=webm")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/format")
    assert (absent.status_code, absent.json()["code"]) == (406, "format-unavailable")
    assert "[speech]" in absent.json()["detail"]


async def test_video_is_played_on_the_page(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The job's page plays the video, and offers it in both formats; a player can ask for a part of it."""
    path = await made(client, worker, clip())
    page = Page((await client.get(f"/jobs/{path.split('/')[3]}", headers={"Accept": "text/html"})).text)
    part = await client.get(path, headers={"Range": "bytes=4-7"})
    told = (await client.post("/v1/provenance", content=(await client.get(path)).content)).json()
    assert page.one("video")["src"] == path
    assert any("format=webm" in str(link.get("href")) for link in page.all("a"))
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert (told["media_type"], told["unchanged"]) == ("video/mp4", True)
