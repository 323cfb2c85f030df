"""The content of a training photo: products, colours, backgrounds, and the pairs that are kept for the exam."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Colour: TypeAlias = tuple[float, float, float]
Array: TypeAlias = NDArray[np.floating[Any]]

# Every list is in the order of the judge's classes; sRGB in 0..1.
PRODUCTS: Final = (
    *("bottle", "mug", "cup", "vase", "bowl", "ball", "jar", "candle", "bell pepper", "tube"),
    *("lamp", "teapot", "perfume flask", "can", "box", "book", "coffee grinder"),
)
COLOURS: Final[dict[str, Colour]] = {
    "red": (0.80, 0.07, 0.08),
    "orange": (0.95, 0.45, 0.05),
    "yellow": (0.96, 0.80, 0.08),
    "lime": (0.60, 0.83, 0.13),
    "green": (0.08, 0.47, 0.17),
    "turquoise": (0.10, 0.70, 0.66),
    "sky blue": (0.42, 0.70, 0.93),
    "blue": (0.08, 0.25, 0.80),
    "navy": (0.05, 0.08, 0.28),
    "purple": (0.45, 0.12, 0.60),
    "pink": (0.95, 0.45, 0.66),
    "brown": (0.36, 0.19, 0.09),
    "beige": (0.82, 0.71, 0.54),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.48, 0.48, 0.49),
    "black": (0.045, 0.045, 0.05),
}
# Named after the surfaces in styles.toml.
BACKGROUNDS: Final = ("white", "black", "pink", "wood", "green", "beige", "grey", "dark blue", "light blue")
FINISHES: Final = ("matte", "glossy", "metallic")
LIGHTS: Final = ("left", "right", "above")

# Each product lacks two colours and each colour at least one product in training; the exam asks for these pairs.
HELD_OUT: Final = frozenset(
    (product, tuple(COLOURS)[(5 * number + shift) % len(COLOURS)])
    for number, product in enumerate(PRODUCTS)
    for shift in (0, 7)
)


@dataclass(frozen=True)
class Scene:
    """`size` scales the product (1 fills two thirds of the frame); `turn` in 0..1 is its yaw, always to one side."""

    product: str
    colour: str
    background: str
    finish: str = "glossy"
    light: str = "left"
    count: int = 1
    size: float = 1.0
    turn: float = 0.3


def sample_scene(rng: np.random.Generator, *, held_out: bool = False) -> Scene:
    """Return a random scene whose pair of product and colour belongs to the training, or to the exam (`held_out`)."""
    while True:
        pair = str(rng.choice(PRODUCTS)), str(rng.choice(list(COLOURS)))
        if (pair in HELD_OUT) == held_out:
            break
    return Scene(
        *pair,
        background=str(rng.choice(BACKGROUNDS)),
        finish=str(rng.choice(FINISHES, p=(0.4, 0.4, 0.2))),
        light=str(rng.choice(LIGHTS)),
        count=int(rng.choice((1, 2), p=(0.85, 0.15))),
        size=float(rng.uniform(0.85, 1.12)),
        turn=float(rng.uniform()),
    )
