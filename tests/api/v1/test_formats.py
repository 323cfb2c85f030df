"""Pictures in other formats than the stored one, through HTTP."""

import asyncio
import io
import json
import time

import httpx2
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from services.api.core import renditions
from services.api.core.artifacts import Artifacts
from services.common.backends import Backends
from tests.api.v1.test_jobs import submit
from tests.support.fake_backends import PresigningObjects
from tests.support.fakes import FakeWorker, stored_image

pytestmark = pytest.mark.anyio

HOW = {"prompt": "a red café ☕", "style": "macro", "seed": "7", "software": "commercial-studio-photos-generator 1"}


async def made(client: httpx2.AsyncClient, worker: FakeWorker, data: bytes | None = None) -> str:
    """The path of a finished job's picture."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image(**HOW) if data is None else data)
    return f"/v1/jobs/{job_id}/artifacts/0"


def made_how(image: Image.Image) -> dict[str, str]:
    """Return the facts in the EXIF comment of a file."""
    exif = image.getexif()
    assert exif[0x0131] == HOW["software"]
    comment: bytes = exif.get_ifd(0x8769)[0x9286]
    assert comment.startswith(b"ASCII\0\0\0")
    found: dict[str, str] = json.loads(comment[8:])
    return found


@pytest.mark.parametrize(("name", "suffix"), [("jpeg", "jpg"), ("webp", "webp")])
async def test_picture_in_another_format(
    client: httpx2.AsyncClient, worker: FakeWorker, name: str, suffix: str
) -> None:
    """The same picture comes as JPEG or WebP under a name that fits, and still says how it was made."""
    path = await made(client, worker)

    answer = await client.get(f"{path}?format={name}&download=1")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == f"image/{name}"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    job_id = path.split("/")[3]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{job_id}-0.{suffix}"'
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size) == (name.upper(), (64, 32))
    for where, colour in (((8, 16), (200, 30, 30)), ((56, 16), (30, 30, 200))):
        shown = image.convert("RGB").getpixel(where)
        assert isinstance(shown, tuple)
        assert all(abs(one - other) < 12 for one, other in zip(shown, colour, strict=True))
    assert made_how(image) == HOW


async def test_stored_format_is_not_touched(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Asked for by name, the stored format comes byte for byte."""
    path = await made(client, worker)
    plain, named = await client.get(path), await client.get(f"{path}?format=png")
    assert named.content == plain.content == stored_image(**HOW)
    assert named.headers["ETag"] == plain.headers["ETag"]


async def test_every_format_is_known_again(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Each format has an ETag of its own, which spares sending that format again and no other."""
    path = await made(client, worker)
    etags = {name: (await client.get(f"{path}?format={name}")).headers["ETag"] for name in ("png", "jpeg", "webp")}
    assert len(set(etags.values())) == 3
    for name in etags:
        for other, etag in etags.items():
            again = await client.get(f"{path}?format={name}", headers={"If-None-Match": etag})
            assert again.status_code == (304 if name == other else 200)


async def test_head_of_another_format(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """HEAD answers what GET would, without the bytes."""
    path = await made(client, worker)
    head, got = await client.head(f"{path}?format=webp"), await client.get(f"{path}?format=webp")
    assert head.content == b""
    names = ("Content-Length", "Content-Type", "ETag")
    assert [head.headers[name] for name in names] == [got.headers[name] for name in names]


async def test_quality(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A JPEG of a lower quality is a smaller file with an ETag of its own; a PNG is as it is stored."""
    path = await made(client, worker)
    answers = [await client.get(f"{path}?format=jpeg&quality={quality}") for quality in (0, 50, 100)]
    sizes = [len(answer.content) for answer in answers]
    assert sizes == sorted(set(sizes))
    assert len({answer.headers["ETag"] for answer in answers}) == 3

    stored = (await client.get(path)).content
    for query in ("quality=50", "format=png&quality=50"):
        assert (await client.get(f"{path}?{query}")).content == stored
    beyond = await client.get(f"{path}?format=jpeg&quality=101")
    assert (beyond.status_code, beyond.json()["errors"][0]["pointer"]) == (422, "/quality")


@pytest.mark.parametrize("name", ["gif", "", "JPEG", "jpg%00", "x" * 3000])
async def test_unknown_format_is_refused(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """A format there is not is 422 and says which there are."""
    path = await made(client, worker)
    answer = await client.get(f"{path}?format={name}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-error")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["allowed"]) == ("/format", ["jpeg", "png", "webp"])
    assert len(answer.content) < 2000


async def test_what_is_no_picture(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """An artifact that cannot be read as a picture is refused in other formats, and still comes as it is stored."""
    path = await made(client, worker, b"no picture")
    assert (await client.get(f"{path}?format=jpeg")).status_code == 422
    assert (await client.get(path)).content == b"no picture"


@pytest.mark.parametrize("settings", [{"artifact_delivery": "redirect"}], indirect=True)
async def test_other_formats_are_not_redirected(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends, state: dict[str, object]
) -> None:
    """The object store has only the stored format, so the others come through the gateway."""
    path = await made(client, worker)
    objects = PresigningObjects(backends.objects)
    async with renditions.open_renditions() as opened:
        state["artifacts"] = Artifacts(objects, opened)  # type: ignore[arg-type]
        answers = {name: await client.get(f"{path}?format={name}") for name in ("png", "webp")}
    assert {name: answer.status_code for name, answer in answers.items()} == {"png": 307, "webp": 200}
    assert answers["webp"].headers["Content-Type"] == "image/webp"


async def test_too_many_at_once(
    client: httpx2.AsyncClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that waits too long for a rendition is asked to come back; the stored file comes at once."""
    path = await made(client, worker)
    monkeypatch.setattr(renditions, "SECONDS", 0.05)
    hung = asyncio.Event()

    async def hanging(*_: object) -> bytes:
        await hung.wait()
        return b""

    monkeypatch.setattr(renditions, "whole", hanging)
    answers = await asyncio.gather(*(client.get(f"{path}?format=jpeg") for _ in range(renditions.THREADS + 2)))
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "too-busy")}
    assert answers[0].headers["Retry-After"] == "2"
    assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("settings", [{"trusted_proxies": "127.0.0.1"}], indirect=True)
async def test_renditions_in_turns(
    client: httpx2.AsyncClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that wants one converted image does not wait for all those of another."""
    path = await made(client, worker)
    order: list[str] = []

    def slow(data: bytes, *_: object) -> bytes:
        time.sleep(0.05)
        return data

    monkeypatch.setattr(renditions, "_rendition", slow)

    async def ask(caller: str) -> None:
        answer = await client.get(f"{path}?format=jpeg", headers={"X-Forwarded-For": caller})
        assert answer.status_code == 200
        order.append(caller)

    await asyncio.gather(*[ask("203.0.113.1") for _ in range(30)], ask("203.0.113.2"))
    assert order.index("203.0.113.2") <= 2 * renditions.IN_HAND


async def test_smaller_picture(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A picture comes no larger than asked for, in its own format or another, and is never enlarged."""
    path = await made(client, worker)

    small = await client.get(f"{path}?max_side=16")
    other = await client.get(f"{path}?max_side=16&format=webp")
    large = await client.get(f"{path}?max_side=4096")

    assert Image.open(io.BytesIO(small.content)).size == Image.open(io.BytesIO(other.content)).size == (16, 8)
    assert (small.headers["Content-Type"], other.headers["Content-Type"]) == ("image/png", "image/webp")
    assert Image.open(io.BytesIO(large.content)).size == (64, 32)
    assert len({answer.headers["ETag"] for answer in (small, other, large)}) == 3


SETTINGS = "a red café ☕\nNegative prompt: blurry\nSteps: 8, Seed: 7, Model: studio-tiny"


@pytest.mark.parametrize("name", ["jpeg", "webp"])
async def test_settings_for_other_tools(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """The settings that other tools read in a PNG are in the EXIF comment of other formats, as these tools write it."""
    path = await made(client, worker, stored_image(**HOW, parameters=SETTINGS))

    exif = Image.open(io.BytesIO((await client.get(f"{path}?format={name}")).content)).getexif()

    comment: bytes = exif.get_ifd(0x8769)[0x9286]
    assert comment.startswith(b"UNICODE\0")
    assert comment[8:].decode("utf-16-be") == SETTINGS


async def test_settings_in_a_smaller_png(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A smaller PNG has the texts of the stored one."""
    path = await made(client, worker, stored_image(**HOW, parameters=SETTINGS))
    small = Image.open(io.BytesIO((await client.get(f"{path}?max_side=16")).content))
    assert {name: small.info.get(name) for name in (*HOW, "parameters")} == {**HOW, "parameters": SETTINGS}


@pytest.mark.parametrize("query", ["", "&format=png", "&format=jpeg", "&format=webp&quality=50", "&max_side=16"])
async def test_without_metadata(client: httpx2.AsyncClient, worker: FakeWorker, query: str) -> None:
    """`?metadata=0` leaves out how an image was made, in every format and size, and changes no pixel."""
    path = await made(client, worker, stored_image(**HOW, parameters=SETTINGS))
    whole = await client.get(f"{path}?{query.removeprefix('&')}")

    bare = await client.get(f"{path}?metadata=0{query}")

    for secret in ("red caf", "macro", "studio-tiny", "commercial-studio"):
        for encoding in ("utf-8", "utf-16-be", "utf-16-le"):
            assert secret.encode(encoding) not in bare.content
    shown, expected = (Image.open(io.BytesIO(answer.content)) for answer in (bare, whole))
    assert shown.tobytes() == expected.tobytes()
    assert (shown.info.keys() & HOW.keys(), dict(shown.getexif())) == (set(), {})
    assert bare.headers["ETag"] != whole.headers["ETag"]
    again = await client.get(f"{path}?metadata=0{query}", headers={"If-None-Match": bare.headers["ETag"]})
    assert again.status_code == 304
    other = await client.get(f"{path}?{query.removeprefix('&')}", headers={"If-None-Match": bare.headers["ETag"]})
    assert other.status_code == 200


async def test_without_metadata_nothing_is_encoded_again(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A PNG without metadata has the compressed pixels of the stored one, and keeps what colours depend on."""
    buffer = io.BytesIO()
    profile = b"a colour profile"
    exif = Image.Exif()
    exif[0x010E] = "a secret title"
    image = Image.new("RGB", (64, 32), "red")
    image.save(buffer, "PNG", icc_profile=profile, pnginfo=_texts(), dpi=(300, 300), exif=exif)
    path = await made(client, worker, buffer.getvalue() + b"behind the end")

    bare = (await client.get(f"{path}?metadata=0")).content

    start = buffer.getvalue().index(b"IDAT")
    assert buffer.getvalue()[start : start + 40] in bare
    assert b"eXIf" in buffer.getvalue()
    assert not any(word in bare for word in (b"prompt", b"secret", b"eXIf", b"tIME"))
    assert bare.endswith(b"IEND\xaeB`\x82")
    assert Image.open(io.BytesIO(bare)).info["icc_profile"] == profile


def _texts() -> PngInfo:
    info = PngInfo()
    info.add_text("prompt", "a secret")
    info.add_text("Comment", "a long secret", zip=True)
    info.add_itxt("prompt", "another secret ☕")
    info.add(b"tIME", b"\x07\xea\x0b\x1e\x17\0\0")
    return info


@pytest.mark.parametrize("data", [b"no picture", stored_image()[:60], stored_image()[:8], b""])
async def test_what_is_no_whole_png_without_metadata(
    client: httpx2.AsyncClient, worker: FakeWorker, data: bytes
) -> None:
    """An artifact that is no whole PNG cannot be had without metadata, and the answer is a refusal, not half a file."""
    path = await made(client, worker, data)
    assert (await client.get(f"{path}?metadata=0")).status_code == 422


@pytest.mark.parametrize("value", ["2", "no", "", "false"])
async def test_unknown_value_of_metadata(client: httpx2.AsyncClient, worker: FakeWorker, value: str) -> None:
    """`?metadata=` takes 0 and 1: another word must not be taken for leaving nothing out."""
    path = await made(client, worker)
    answer = await client.get(f"{path}?metadata={value}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/metadata")


def _drawn(mode: str, colour: tuple[int, ...], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (64, 32), colour).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("max_side=16", (10, 20, 30, 0)),
        ("format=webp&quality=100", (10, 20, 30, 0)),
        ("format=jpeg", (255, 255, 255, 255)),
    ],
)
async def test_transparency_is_kept_or_white(
    client: httpx2.AsyncClient, worker: FakeWorker, query: str, expected: tuple[int, ...]
) -> None:
    """A transparent image stays transparent in formats that can, and is on white, not black, in JPEG."""
    path = await made(client, worker, _drawn("RGBA", (10, 20, 30, 0)))
    image = Image.open(io.BytesIO((await client.get(f"{path}?{query}")).content)).convert("RGBA")
    shown = image.getpixel((5, 5))
    assert isinstance(shown, tuple)
    assert shown[3] == expected[3]
    assert shown[3] == 0 or shown == expected


@pytest.mark.parametrize("name", ["jpeg", "webp"])
async def test_colour_profile_is_kept(client: httpx2.AsyncClient, worker: FakeWorker, name: str) -> None:
    """An image whose colours are of another profile keeps it in every format, or its colours would change."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = await made(client, worker, _drawn("RGB", (10, 20, 30), icc_profile=profile))
    image = Image.open(io.BytesIO((await client.get(f"{path}?format={name}")).content))
    assert image.info["icc_profile"] == profile
