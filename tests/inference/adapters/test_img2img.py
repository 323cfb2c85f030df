"""The adapter img2img, on the real diffusers pipeline of studio-tiny."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops

from services.common.catalogue.files import load_catalogue
from services.common.errors import GenerationError
from services.common.setting_types import data_folder
from services.inference.adapters.img2img import Img2Img
from services.inference.runtime.adapter import Context, Item
from services.inference.runtime.outputs import ImageOutput
from services.inference.runtime.sources import resolve_source

PICTURE_ID = "00000000-0000-7000-8000-000000000001"
MODELS = data_folder("models")


@pytest.fixture(scope="module")
def adapter() -> Iterator[Img2Img]:
    catalogue = load_catalogue(MODELS / "models.toml", MODELS / "styles.toml")
    model = catalogue.models["studio-tiny-img2img"]
    loaded = Img2Img(model, resolve_source(model, catalogue_folder=MODELS))
    loaded.load("cpu")
    yield loaded
    loaded.close()


def picture(colour: str, size: tuple[int, int] = (400, 300), mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, "PNG")
    return content.getvalue()


RED = picture("firebrick")


def item(adapter: Img2Img, seed: int, content: bytes = RED, job_id: str = "job", **params: object) -> Item:
    given = adapter.model.parameters({"prompt": "mug", "image": PICTURE_ID, "steps": 4, **params})
    return Item(job_id, 0, seed, "mug", "", given, inputs={"image": content})


def draw(adapter: Img2Img, *batch: Item) -> tuple[list[Image.Image], list[tuple[str, str]]]:
    """Return the images, and the job and code of each warning."""
    warned: list[tuple[str, str]] = []
    context = Context(lambda *_: None, lambda _: False, warn=lambda job, code, _message: warned.append((job, code)))
    outputs = adapter.generate(batch, context)
    return [output.image for output in outputs if isinstance(output, ImageOutput)], warned


def apart(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two images of one size, 0 to 255."""
    grey = ImageChops.difference(one, other).convert("L").histogram()
    return sum(value * count for value, count in enumerate(grey)) / sum(grey)


def test_same_seed_and_picture_same_bytes(adapter: Img2Img) -> None:
    """Picture and seed decide every byte, also after another job, and in a batch it stays the same image."""
    (first,), (_,), (again,) = (draw(adapter, item(adapter, seed))[0] for seed in (1, 2, 1))
    assert first.tobytes() == again.tobytes()
    pair, _ = draw(adapter, item(adapter, 1), item(adapter, 2))
    assert apart(pair[0], first) <= 1


def test_the_picture_reaches_the_pipeline(adapter: Img2Img) -> None:
    """A weak job stays near its picture, a strong one leaves it."""
    weak, strong = (draw(adapter, item(adapter, 1, strength=strength))[0][0] for strength in (0.25, 1.0))
    given = Image.open(io.BytesIO(RED)).resize(weak.size)
    assert apart(weak, given) < apart(strong, given) / 2


def test_size_is_the_pictures_shape(adapter: Img2Img) -> None:
    """Without a size the image has the shape of the picture, within the model's limits, and nothing is cut off."""
    for size, made in (((400, 300), (144, 112)), ((3000, 300), (192, 96)), ((64, 64), (128, 128))):
        (image,), warned = draw(adapter, item(adapter, 1, picture("firebrick", size)))
        assert (image.size, warned) == (made, [])


def test_what_is_cut_off_is_told(adapter: Img2Img) -> None:
    """With a size of another shape the middle is taken, and the job is warned; a size of the same shape is not."""
    (image,), warned = draw(adapter, item(adapter, 1, width=96, height=96))
    assert (image.size, warned) == ((96, 96), [("job", "input-cropped")])
    assert draw(adapter, item(adapter, 1, width=128, height=96))[1] == []


def test_transparency_becomes_white(adapter: Img2Img) -> None:
    """Where the picture is transparent the model sees white."""
    (clear,), _ = draw(adapter, item(adapter, 1, picture("#ff000000", mode="RGBA"), strength=0.25))
    (white,), _ = draw(adapter, item(adapter, 1, picture("white"), strength=0.25))
    assert clear.tobytes() == white.tobytes()


def test_the_least_strength_has_a_step(adapter: Img2Img) -> None:
    """However little a job may leave its picture, the model takes a step."""
    assert len(draw(adapter, item(adapter, 1, strength=0.01))[0]) == 1


def test_pictures_of_two_jobs_share_no_call_unless_sized(adapter: Img2Img) -> None:
    """Jobs share a call when they ask for one size; without one their pictures may have different shapes."""
    keys = [adapter.batch_key(item(adapter, 1, job_id=job)) for job in ("a", "b")]
    sized = [adapter.batch_key(item(adapter, 1, job_id=job, width=96, height=96)) for job in ("a", "b")]
    assert keys[0] != keys[1]
    assert sized[0] == sized[1]


def test_what_is_no_picture_fails_its_job(adapter: Img2Img) -> None:
    """A file that cannot be read as a picture fails the job in a sentence."""
    with pytest.raises(GenerationError, match="the picture cannot be read"):
        draw(adapter, item(adapter, 1, b"no picture"))


def test_sample_can_be_made(adapter: Img2Img) -> None:
    """The sample, which a worker makes before it is ready, brings its own picture."""
    assert len(draw(adapter, adapter.sample())[0]) == 1
