"""The settings of an image in the text that other tools read."""

import io
import json
import re

import pytest
from PIL import Image

from services.inference.job.items import metadata_of
from services.inference.job.settings_text import settings_text
from tests.support.fakes import stored_image
from tests.support.models.items import item, tiny_model

# How Stable Diffusion's first web UI reads the last line of the text.
PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def read(text: str) -> dict[str, str]:
    """Return the pairs of the last line, as that web UI reads them."""
    pairs = PAIR.findall(text.splitlines()[-1])
    assert len(pairs) >= 3  # with fewer it takes the line for a part of the prompt
    return {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}


def test_facts_in_one_text() -> None:
    """Prompt, negative prompt and settings are where other tools look for them."""
    facts = {"prompt": "red mug on marble, macro", "negative_prompt": "blurry, text", "steps": "8", "guidance": "5.0"}
    text = settings_text({**facts, "seed": "7", "width": "128", "height": "64", "model": "studio-tiny"})
    assert text == (
        "red mug on marble, macro\n"
        "Negative prompt: blurry, text\n"
        "Steps: 8, CFG scale: 5.0, Seed: 7, Size: 128x64, Model: studio-tiny"
    )
    assert read(text) == {"Steps": "8", "CFG scale": "5.0", "Seed": "7", "Size": "128x64", "Model": "studio-tiny"}


@pytest.mark.parametrize("product", ["mug, red", 'a "mug"', "mug: red", "two\nlines", "café ☕", "a\\b, c"])
def test_texts_with_marks(product: str) -> None:
    """A product with commas, colons, quotes or lines does not break the settings behind it."""
    text = settings_text({"prompt": "x", "seed": "7", "product": product, "model": "tiny", "software": "studio 1"})
    assert read(text) == {"Seed": "7", "Model": "tiny", "Product": product, "Version": "studio 1"}


@pytest.mark.parametrize("prompt", ["red mug", "a red café", "eine Tasse ☕ 杯"])
def test_every_image_file_has_it(prompt: str) -> None:
    """The file of an image has the text `parameters`, beside the facts one by one."""
    made = item(3, prompt)
    said = Image.open(io.BytesIO(stored_image(**metadata_of(made, tiny_model())))).info
    assert said["prompt"] == prompt
    assert said["parameters"].startswith(f"{prompt}\n")
    assert read(said["parameters"])["Seed"] == said["seed"]
