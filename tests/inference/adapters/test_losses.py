"""The adapter txt2img tells of the parts of a request that it did not do."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from services.common.catalogue.catalogue import Model
from services.common.modalities.images import Txt2ImgParams
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import Context, Item
from services.inference.runtime.outputs import FilteredOutput, ImageOutput
from services.inference.runtime.sources import Source
from tests.support.models.items import tiny_model
from tests.support.models.tiny_pipeline import build_pipeline

BEFORE, AFTER = "a luxury photo of ", " on black acrylic, rim light"
NEGATIVE = "blurry, people"
LIMIT = 126  # letters that the tiny model reads: 128 tokens, less the marks for begin and end


def _item(product: str, *, look: bool = True, negative: str | None = None, guidance: float = 4.0) -> Item:
    given = {"prompt": product, "negative_prompt": negative, "guidance": guidance}
    params = Txt2ImgParams.model_validate({**given, "width": 64, "height": 64, "steps": 1})
    prompt = BEFORE + product + AFTER if look else product
    parts = [part for part in (negative, NEGATIVE if look else None) if part]
    return Item("job", 0, 1, prompt, ", ".join(parts), params)


def _drawn(adapter: Txt2Img, item: Item) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the pixels, and code and message of the warnings."""
    told: list[tuple[str, str]] = []
    context = Context(lambda *_: None, lambda _id: False, warn=lambda _id, code, text: told.append((code, text)))
    (output,) = adapter.generate([item], context)
    assert isinstance(output, ImageOutput)
    return output.image.tobytes(), told


@pytest.mark.parametrize(
    ("product", "kept"),
    [
        ("matte black coffee grinder " * 9, "matte black coffee grinder matte black coffee grinder matte black coffee"),
        ("a red mug beside a blue bottle; " * 20, None),
        ("x" * 500, "x"),
        ("咖啡研磨机" * 40, "咖"),
    ],
    ids=["words", "sentence", "one word", "no spaces"],
)
def test_words_of_the_look_are_kept(txt2img: Txt2Img, product: str, kept: str | None) -> None:
    """Beyond the limit the product's last words are cut and told; what is drawn ends with the look's words."""
    pixels, told = _drawn(txt2img, _item(product))

    ((code, message),) = told
    assert code == "prompt-cut"
    cut = message.partition("“")[2].removesuffix("”")
    assert cut
    assert product.strip().endswith(cut)
    left = product.strip().removesuffix(cut).strip()
    assert left.startswith(kept or "a red mug beside")
    assert not left.endswith(" ")
    assert (pixels, []) == _drawn(txt2img, _item(left))
    assert len(_letters(BEFORE + left + AFTER)) <= LIMIT


def test_cut_is_no_longer_than_needed(txt2img: Txt2Img) -> None:
    """One more word of the product would not fit."""
    product = "mug bowl vase cup jar " * 20
    _, ((_, message),) = _drawn(txt2img, _item(product))
    left = product.strip().removesuffix(message.partition("“")[2].removesuffix("”")).strip()

    following = product[len(left) :].split(maxsplit=1)[0]
    assert len(_letters(f"{BEFORE}{left} {following}{AFTER}")) > LIMIT


@pytest.mark.parametrize("look", [True, False], ids=["with a look", "without"])
def test_what_fits_is_drawn_as_it_is(txt2img: Txt2Img, *, look: bool) -> None:
    """A prompt that the model reads as a whole is not touched, and nothing is told."""
    product = "red mug " * 4
    assert _drawn(txt2img, _item(product, look=look))[1] == []


def test_prompt_without_a_look_is_cut_at_its_end(txt2img: Txt2Img) -> None:
    """Without a look the end of the prompt is cut, and told as well."""
    _, ((code, message),) = _drawn(txt2img, _item("word " * 100, look=False))
    assert code == "prompt-cut"
    assert "“word word" in message


def test_look_that_is_too_long_alone(txt2img: Txt2Img) -> None:
    """Where not even the look's words fit, the model cuts their end, which is told."""
    params = Txt2ImgParams(prompt="mug", width=64, height=64, steps=1, guidance=4.0)
    item = Item("job", 0, 1, "a photo of mug " + "soft light " * 40, "", params)
    _, ((code, message),) = _drawn(txt2img, item)
    assert code == "prompt-cut"
    assert "the look" in message


def test_negative_prompt_is_cut_before_the_looks(txt2img: Txt2Img) -> None:
    """A negative prompt beyond the limit keeps what the look keeps out, and the words cut are told."""
    negative = "hands, " * 60
    pixels, ((code, message),) = _drawn(txt2img, _item("mug", negative=negative))
    assert code == "negative-prompt-cut"
    left = negative.strip().removesuffix(message.partition("“")[2].removesuffix("”")).strip()
    assert left.startswith("hands, hands")
    assert (pixels, []) == _drawn(txt2img, _item("mug", negative=left))


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0])
def test_negative_prompt_without_guidance(txt2img: Txt2Img, guidance: float) -> None:
    """At a guidance of 1 and below a negative prompt does nothing, which is told with what to ask for."""
    with_one, told = _drawn(txt2img, _item("mug", look=False, negative="cats", guidance=guidance))
    without, quiet = _drawn(txt2img, _item("mug", look=False, guidance=guidance))

    ((code, message),) = told
    assert code == "negative-prompt-unused"
    assert "cats" in message
    assert "above 1" in message
    assert (with_one, quiet) == (without, [])


def test_negative_prompt_with_guidance(txt2img: Txt2Img) -> None:
    """Above a guidance of 1 a negative prompt changes the image, and nothing is told."""
    with_one, told = _drawn(txt2img, _item("mug", look=False, negative="cats", guidance=4.0))
    assert told == []
    assert with_one != _drawn(txt2img, _item("mug", look=False, guidance=4.0))[0]


def test_guidance_that_switches_off_the_look(txt2img: Txt2Img) -> None:
    """A guidance chosen so low that the look's own negative prompt does nothing is told as well."""
    ((code, message),) = _drawn(txt2img, _item("mug", guidance=1.0))[1]
    assert (code, "look" in message) == ("negative-prompt-unused", True)


def test_warnings_of_a_batch_go_to_their_jobs(txt2img: Txt2Img) -> None:
    """In a batch of several jobs each is told of its own losses."""
    told: list[tuple[str, str]] = []
    context = Context(lambda *_: None, lambda _id: False, warn=lambda job, code, _text: told.append((job, code)))
    long, short = _item("word " * 90), _item("mug")
    batch = [Item("long", 0, 1, long.prompt, long.negative_prompt, long.params)]
    batch.append(Item("short", 0, 2, short.prompt, short.negative_prompt, short.params))
    txt2img.generate(batch, context)
    assert told == [("long", "prompt-cut")]


@pytest.fixture(scope="module")
def withholding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Txt2Img]:
    folder: Path = tmp_path_factory.mktemp("withholding")
    build_pipeline(folder, withholding=True)
    model: Model = tiny_model(source=str(folder))
    adapter = Txt2Img(model, Source(model.source))
    adapter.load("cpu")
    yield adapter
    adapter.close()


def test_safety_checker_withholds(withholding: Txt2Img) -> None:
    """An image that the pipeline's safety checker paints black is no output, and no preview shows it before."""
    previews: list[object] = []
    context = Context(lambda _step, _total, preview=None: previews.append(preview), lambda _id: False)
    outputs = withholding.generate([_item("mug"), _item("cup")], context)
    assert [type(output) for output in outputs] == [FilteredOutput, FilteredOutput]
    assert set(previews) == {None}


def test_black_image_is_no_verdict(txt2img: Txt2Img) -> None:
    """Without a safety checker every image is an output, whatever its colours."""
    (output,) = txt2img.generate([_item("mug")], Context(lambda *_: None, lambda _id: False))
    assert Image.open(io.BytesIO(output.encode({}).data)).size == (64, 64)


def _letters(text: str) -> bytes:
    """Return the tokens of the tiny model's tokenizer: one a byte, none for a space."""
    return text.replace(" ", "").encode()
