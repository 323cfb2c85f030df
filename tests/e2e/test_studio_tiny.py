"""The shipped model, through the front door: its images match their prompts."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.system import ROOT, System, running_system


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system as a newcomer starts it: embedded, with the shipped catalogue."""
    folder: Path = tmp_path_factory.mktemp("shipped")
    with running_system(folder, {}, ROOT / "models" / "models.toml") as system:
        system.start_gateway()
        system.start_worker()
        yield system


def _photo(system: System, prompt: str, seed: int) -> bytes:
    job = system.wait(system.submit(prompt, seed=seed)["id"])
    assert job["state"] == "succeeded", job
    assert job["model"] == "studio-tiny"
    return system.client.get(f"/v1/jobs/{job['id']}/artifacts/0").content


def _object(png: bytes) -> NDArray[np.float64]:
    """Return the pixels in the middle of the image, where the product stands: rows x 3, 0..255."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)
    height, width, _ = pixels.shape
    return pixels[int(height * 0.52) : int(height * 0.72), int(width * 0.42) : int(width * 0.58)].reshape(-1, 3)


@pytest.mark.parametrize(("colour", "strong", "weak"), [("red", 0, (1, 2)), ("blue", 2, (0, 1)), ("green", 1, (0, 2))])
def test_colour_of_the_product_is_the_one_asked_for(
    shipped: System, colour: str, strong: int, weak: tuple[int, ...]
) -> None:
    """The image of a red mug is mostly red, of a blue one mostly blue, of a green one mostly green."""
    pixels = _object(_photo(shipped, f"{colour} mug", seed=3))
    shares = [(pixels[:, strong] > pixels[:, other] + 20).mean() for other in weak]

    assert min(shares) > 0.6


def test_same_seed_same_bytes(shipped: System) -> None:
    """The same seed gives the same file, another seed another image."""
    first, again, other = (_photo(shipped, "red mug", seed) for seed in (1, 1, 2))

    assert Image.open(io.BytesIO(first)).tobytes() == Image.open(io.BytesIO(again)).tobytes()
    assert first == again
    assert Image.open(io.BytesIO(first)).tobytes() != Image.open(io.BytesIO(other)).tobytes()


def test_style_sets_the_background(shipped: System) -> None:
    """The white style gives a light background, the dark style a dark one."""
    corners = []
    for style in ("white-cyclorama", "dark-luxury"):
        job = shipped.wait(shipped.submit("red mug", seed=1, style=style)["id"])
        png = shipped.client.get(f"/v1/jobs/{job['id']}/artifacts/0").content
        corners.append(np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)[:40, :40].mean())

    assert corners[0] > 190
    assert corners[1] < 70
