"""The mark of generated files in every rendition, through HTTP."""

import hashlib
import io
from xml.etree import ElementTree as ET

import httpx2
import pytest
from PIL import Image

from services.common.provenance.mark import Mark, SourceType
from services.common.provenance.stored_files import marked
from tests.api.v1.test_jobs import submit
from tests.support.fakes import FakeWorker, stored_image
from tests.support.sounds import Heard, sine

pytestmark = pytest.mark.anyio

URI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
OLD = stored_image(prompt="a secret mug")  # as a worker of an earlier version stored it
NEW = marked(OLD, "image/png", Mark("algorithmicMedia"))


def xmp_of(data: bytes) -> str:
    """Return the XMP packet of an image, which is where Pillow looks for it."""
    xmp = Image.open(io.BytesIO(data)).info["xmp"]
    assert isinstance(xmp, bytes)
    return xmp.decode()


def source_of(xmp: str) -> str | None:
    """Return the property of IPTC's schema, read as any program would that knows XML and RDF."""
    (rdf,) = ET.fromstring(xmp)  # noqa: S314 - our own
    assert rdf.tag == "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF"
    return rdf.findtext("*/{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")


@pytest.mark.parametrize("metadata", ["", "&metadata=0"])
@pytest.mark.parametrize("query", ["format=png&max_side=16", "format=jpeg", "format=webp", "format=jpeg&max_side=16"])
async def test_images_stay_marked(client: httpx2.AsyncClient, worker: FakeWorker, query: str, metadata: str) -> None:
    """An image has the mark in every format and size, with its settings and without, and names the stored file."""
    for data in (OLD, NEW):
        job_id = await submit(client)
        await worker.succeed(job_id, data)

        answer = await client.get(f"/v1/jobs/{job_id}/artifacts/0?{query}{metadata}")

        xmp = xmp_of(answer.content)
        assert source_of(xmp) == URI
        assert f"<stRef:documentID>sha256:{hashlib.sha256(data).hexdigest()}</stRef:documentID>" in xmp
        assert answer.content.count(b"DigitalSourceType>") == 2
        assert (b"secret" in answer.content.replace(b"\0", b"")) == (not metadata)


async def test_png_without_settings_stays_marked(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A PNG without its settings, whose pixels are not encoded again, has one mark: also one stored without any."""
    for data in (OLD, NEW):
        job_id = await submit(client)
        await worker.succeed(job_id, data)

        bare = (await client.get(f"/v1/jobs/{job_id}/artifacts/0?metadata=0")).content

        assert source_of(xmp_of(bare)) == URI
        assert bare.count(b"DigitalSourceType>") == 2
        assert Image.open(io.BytesIO(bare)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("name", ["mp3", "opus", "flac"])
async def test_sound_is_marked_where_players_show_it(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """MP3, Opus and FLAC have the mark in a text of its own beside the XMP."""
    job_id = await submit(client)
    await worker.succeed(job_id, sine(), media_type="audio/wav")

    tags = Heard((await client.get(f"/v1/jobs/{job_id}/artifacts/0?format={name}&metadata=0")).content).tags

    assert tags["DIGITALSOURCETYPE"] == URI
    xmp = tags["id3v2_priv.XMP" if name == "mp3" else "XMP"]
    assert source_of(xmp.replace("\\x0a", "\n")) == URI  # so FFmpeg shows the bytes of a frame


@pytest.mark.parametrize("source_type", list(SourceType))
@pytest.mark.parametrize(
    ("media_type", "query"),
    [
        ("image/png", "max_side=16"),
        ("image/png", "metadata=0"),
        ("image/png", "format=jpeg"),
        ("audio/wav", "format=mp3"),
        ("audio/wav", "format=aac"),
        ("audio/wav", "metadata=0"),
    ],
)
async def test_rendition_has_the_mark_of_its_artifact(
    client: httpx2.AsyncClient, worker: FakeWorker, media_type: str, query: str, source_type: str
) -> None:
    """A rendition has the term that the adapter named, which the artifact tells."""
    job_id, data = await submit(client), OLD if media_type == "image/png" else sine()
    await worker.succeed(job_id, data, media_type=media_type, source_type=source_type)

    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/0?{query}")

    assert Mark.found_in(answer.content) == Mark(source_type, hashlib.sha256(data).hexdigest())
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["artifacts"][0]["source_type"] == source_type


@pytest.mark.parametrize("name", ["wav", "mp3", "opus", "flac", "aac"])
async def test_sound_stays_marked(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """Sound has the mark in every format, and names the stored file."""
    job_id, data = await submit(client), sine(facts={"prompt": "a secret mug"})
    await worker.succeed(job_id, data, media_type="audio/wav")

    bare = (await client.get(f"/v1/jobs/{job_id}/artifacts/0?format={name}&metadata=0")).content

    assert Mark.found_in(bare) == Mark("trainedAlgorithmicMedia", hashlib.sha256(data).hexdigest())
    assert Heard(bare).seconds >= 0.5


def test_marks_are_put_once() -> None:
    """A file that is marked again has the new mark only, and the same pixels and samples."""
    for data, media_type in ((OLD, "image/png"), (sine(), "audio/wav")):
        once = marked(data, media_type, Mark("algorithmicMedia"))
        twice = marked(once, media_type, Mark("trainedAlgorithmicMedia"))
        assert twice == marked(data, media_type, Mark("trainedAlgorithmicMedia"))
        assert twice.count(b"DigitalSourceType>") == 2
    assert Image.open(io.BytesIO(NEW)).tobytes() == Image.open(io.BytesIO(OLD)).tobytes()
