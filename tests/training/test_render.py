import numpy as np
import pytest

from training.render import render
from training.scenes import BACKGROUNDS, COLOURS, HELD_OUT, PRODUCTS, Scene, sample_scene


@pytest.mark.parametrize("product", PRODUCTS)
def test_product_is_drawn_in_its_colour(product: str) -> None:
    """The image is red where a red product stands, and blue where a blue one stands."""
    red, blue = (
        render(Scene(product, colour, "white", "matte"), np.random.default_rng(1)).astype(int)
        for colour in ("red", "blue")
    )
    changed = np.abs(red - blue).sum(axis=2) > 200

    assert changed.mean() > 0.015
    assert np.median(red[changed][:, 0] - red[changed][:, 2]) > 60
    assert np.median(blue[changed][:, 2] - blue[changed][:, 0]) > 60


def test_same_random_numbers_draw_the_same_image() -> None:
    """The image of a scene depends on the scene and its random numbers alone."""
    scene = sample_scene(np.random.default_rng(2))

    assert (render(scene, np.random.default_rng(3)) == render(scene, np.random.default_rng(3))).all()


def test_backgrounds_differ() -> None:
    """All backgrounds differ in their mean colour."""
    means = [
        render(Scene("ball", "red", name), np.random.default_rng(1))[:60].mean(axis=(0, 1)) for name in BACKGROUNDS
    ]
    distances = [np.abs(one - other).max() for place, one in enumerate(means) for other in means[:place]]

    assert min(distances) > 8


def test_held_out_pairs_are_never_sampled_for_training() -> None:
    """Training samples each product and each colour, but no pair that is held out for the exam."""
    rng = np.random.default_rng(4)
    pairs = {(scene.product, scene.colour) for scene in (sample_scene(rng) for _ in range(4000))}

    assert not pairs & HELD_OUT
    assert {product for product, _ in pairs} == set(PRODUCTS)
    assert {colour for _, colour in pairs} == set(COLOURS)
    assert len(HELD_OUT) == 2 * len(PRODUCTS)
