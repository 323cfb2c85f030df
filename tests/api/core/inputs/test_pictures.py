"""Pictures of every kind come in: what is kept is what a person would see, and nothing else."""

import io
import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from services.api.core.inputs.decoding.order import ANSWER, Order
from tests.intake.files import sixteen_bits, turned, wide_profile
from tests.support.picture_files import encoded, opened, picture

pytestmark = pytest.mark.anyio

RED, BLUE = (200, 30, 30), (30, 30, 200)
HEIC = (Path(__file__).parents[3] / "support" / "picture.heic").read_bytes()
# What has to be done to the upright picture, so that an EXIF orientation undoes it.
UNDONE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


async def kept(client: httpx2.AsyncClient, data: bytes, *warnings: str) -> Image.Image:
    """Send the file in, and return what is kept; it must have these warnings."""
    answer = await client.post("/v1/inputs", content=data)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert tuple(each["code"] for each in view["warnings"]) == warnings
    file = await client.get(view["links"]["file"])
    image = opened(file.content)
    assert (image.width, image.height) == (view["width"], view["height"])
    assert f"image/{image.format}".lower() == view["media_type"] == file.headers["Content-Type"]
    assert (image.info.keys() & {"exif", "icc_profile", "xmp", "comment", "Software"}) == set()
    assert dict(image.getexif()) == {}
    return image


def apart(one: Image.Image, other: Image.Image) -> float:
    """Return the largest mean difference of any channel, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other.convert(one.mode))).mean)


def cornered() -> Image.Image:
    """Return a picture that looks different in all eight orientations."""
    image = picture((64, 32))
    image.paste((250, 250, 250), (0, 0, 16, 8))
    return image


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", UNDONE)
async def test_orientation(client: httpx2.AsyncClient, orientation: int, format: str) -> None:
    """A picture is turned upright once, by its EXIF orientation, which is then no longer in the file."""
    upright, exif = cornered(), Image.Exif()
    exif[0x0112] = orientation
    turn = UNDONE[orientation]
    stored = upright if turn is None else upright.transpose(turn)

    image = await kept(client, encoded(stored, format, exif=exif))

    assert image.size == upright.size
    assert apart(image, upright) < 8


async def test_nothing_personal_is_kept(client: httpx2.AsyncClient) -> None:
    """Place, camera and names are dropped with all other metadata, of a PNG as well."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Author", "Jane Doe")
    texts.add_itxt("XML:com.adobe.xmp", "<x>Jane Doe</x>")
    for data in (turned(1), encoded(picture(), pnginfo=texts), encoded(picture(), "jpeg", comment=b"Jane Doe")):
        assert b"Jane Doe" in data
        answer = await client.post("/v1/inputs", files={"file": ("Jane Doe.jpg", data)})
        file = await client.get(answer.json()["links"]["file"])
        assert b"Jane" not in file.content
        assert "Jane" not in answer.text


async def test_profile(client: httpx2.AsyncClient) -> None:
    """Colours of another profile become those of sRGB; alpha beside them stays; sRGB itself changes nothing."""
    icc, image = wide_profile(), picture()
    srgb = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(image, io.BytesIO(icc), srgb)
    assert isinstance(expected, Image.Image)
    assert apart(expected, image) > 5

    assert apart(await kept(client, encoded(image, icc_profile=icc)), expected) <= 1
    clear = image.copy()
    clear.putalpha(77)
    made = await kept(client, encoded(clear, icc_profile=icc))
    assert made.getchannel("A").getextrema() == (77, 77)
    assert apart(made.convert("RGB"), expected) <= 1
    plain = await kept(client, encoded(image, icc_profile=ImageCms.ImageCmsProfile(srgb).tobytes()))
    assert apart(plain, image) == 0


async def test_grey_profile_of_another_space(client: httpx2.AsyncClient) -> None:
    """A profile for another number of channels is left aside, with a warning."""
    image = await kept(client, encoded(picture(mode="L"), icc_profile=wide_profile()), "profile-ignored")

    assert apart(image, picture(mode="L").convert("RGB")) == 0


async def test_printing_inks(client: httpx2.AsyncClient) -> None:
    """CMYK becomes RGB, with a warning where it has no profile."""
    image = await kept(client, encoded(picture(mode="CMYK"), "jpeg", quality=100), "colours-guessed")

    assert image.mode == "RGB"
    assert apart(image, picture()) < 8


async def test_sixteen_bits(client: httpx2.AsyncClient) -> None:
    """16 bits are scaled to 8: a ramp from black to white stays one, and is not cut off at 255."""
    image = await kept(client, sixteen_bits())

    assert [image.getpixel((x, 0)) for x in range(256)] == [(x, x, x) for x in range(256)]


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
async def test_sixteen_bit_tiff(client: httpx2.AsyncClient, order: str) -> None:
    """A TIFF of 16 bits is scaled as well, whichever byte is first."""
    ramp = struct.pack(f"{order}256H", *(value * 257 for value in range(256)))
    mode = "I;16" if order == "<" else "I;16B"

    image = await kept(client, encoded(Image.frombytes(mode, (256, 1), ramp), "tiff"))

    assert [image.getpixel((x, 0)) for x in (0, 1, 128, 255)] == [(x, x, x) for x in (0, 1, 128, 255)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
async def test_transparency(client: httpx2.AsyncClient, mode: str) -> None:
    """What is transparent stays so, in any way that a format has for it."""
    image = picture()
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: 0 if value < 128 else 255))
    data = encoded(image.convert(mode)) if mode != "P" else encoded(image, "gif")

    made = await kept(client, data)

    assert made.mode == "RGBA"
    assert made.getchannel("A").getextrema() == (0, 255)
    assert made.getchannel("A").getpixel((3, 31)) == 255


@pytest.mark.parametrize(
    ("format", "options"),
    [("gif", {}), ("png", {}), ("webp", {"lossless": True}), ("tiff", {})],
)
async def test_first_frame(client: httpx2.AsyncClient, format: str, options: dict[str, bool]) -> None:
    """Of several pictures in a file the first one is taken, with a warning."""
    others: Sequence[Image.Image] = [Image.new("RGB", (64, 32), colour) for colour in ("green", "white")]

    image = await kept(
        client, encoded(picture(), format, save_all=True, append_images=others, **options), "first-frame"
    )

    assert apart(image, picture()) < 3


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (encoded(picture(), "jpeg"), "JPEG"),
        (encoded(picture(), "webp"), "JPEG"),
        (encoded(picture(), "webp", lossless=True), "PNG"),
        (encoded(picture(), "avif"), "JPEG"),
        (encoded(picture(), "mpo", save_all=True, append_images=[picture()]), "JPEG"),
        (HEIC, "JPEG"),
        (encoded(Image.new("RGBA", (64, 32), (9, 9, 9, 99)), "webp"), "PNG"),
        (encoded(picture(), "png"), "PNG"),
        (encoded(picture(), "gif"), "PNG"),
        (encoded(picture(), "tiff"), "PNG"),
        (encoded(picture(mode="1")), "PNG"),
    ],
    ids=["jpeg", "webp", "lossless webp", "avif", "mpo", "heic", "clear webp", "png", "gif", "tiff", "bilevel"],
)
async def test_formats(client: httpx2.AsyncClient, data: bytes, stored: str) -> None:
    """A lossy picture without transparency is kept as JPEG in full colour, any other as PNG."""
    image = await kept(client, data)

    assert (image.format, image.size) == (stored, (64, 32))
    if stored == "JPEG":
        assert image.layer[0][1:3] == image.layer[1][1:3]  # type: ignore[attr-defined]  # no colour is halved
        assert apart(image, picture()) < 12


@pytest.mark.parametrize("settings", [{"max_input_pixels": 2048}], indirect=True)
async def test_pixel_limit(client: httpx2.AsyncClient) -> None:
    """The limit of pixels is the operator's, and the answer has both numbers."""
    assert (await client.post("/v1/inputs", content=encoded(picture((64, 32))))).status_code == 201

    answer = await client.post("/v1/inputs", content=encoded(picture((64, 33))))

    assert (answer.status_code, answer.json()["code"]) == (413, "input-too-large")
    assert "64 x 33" in answer.json()["detail"]
    assert "2048" in answer.json()["detail"]


async def test_without_a_decoder(client: httpx2.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the decoder of HEIC the answer is 415, and tells the sender and the operator what helps."""
    (tmp_path / "pi_heif.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    answer = await client.post("/v1/inputs", content=HEIC)

    assert (answer.status_code, answer.json()["code"]) == (415, "input-unsupported")
    assert "JPEG or PNG" in answer.json()["detail"]
    assert "[heic]" in answer.json()["detail"]


SMALL = """
import sys
from services.api.core.inputs.decoding import order
order.BASE_BYTES, order.PIXEL_BYTES = int(sys.argv[2]), 0
from services.api.core.inputs.decoding.__main__ import main
main()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS bounds no memory")
@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "png"])
def test_memory_bound(tmp_path: Path, format: str) -> None:
    """A file that needs more memory than the process may have is refused, and the process never had more."""
    options = {"progressive": True, "subsampling": "4:4:4"} if format == "jpeg" else {}
    (tmp_path / "body").write_bytes(encoded(Image.new("RGB", (6000, 6000)), format, **options))
    order = Order(str(tmp_path / "body"), "", 10**8, 50_000_000, 1800, 20).encode()
    most = 160_000_000

    command = [sys.executable, "-c", SMALL, order, str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    answer = json.loads((tmp_path / ANSWER).read_text())
    assert answer["refused"] in ("too-large", "unreadable")
    assert 10_000_000 < int(done.stdout) * 1024 < most
