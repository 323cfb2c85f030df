"""Draws the floor and the wall behind products, and the light on both."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.lighting import ease
from training.scenes import Array, Colour

HORIZON: Final = 0.42  # share of the frame's height, from below


@dataclass(frozen=True)
class Backdrop:
    """`wall` and `floor` are sRGB; `mirror` is the floor's reflectance, `shade` the darkness of shadows, both 0..1."""

    wall: Colour
    floor: Colour
    mirror: float = 0.0
    shade: float = 0.55
    rims: tuple[Colour, Colour] | None = None


BACKDROPS: Final[dict[str, Backdrop]] = {
    "white": Backdrop((0.97, 0.97, 0.96), (0.93, 0.93, 0.92), shade=0.40),
    "black": Backdrop((0.075, 0.075, 0.08), (0.11, 0.11, 0.115), mirror=0.30, rims=((0.9,) * 3, (0.9,) * 3)),
    "pink": Backdrop((0.97, 0.76, 0.80), (0.95, 0.71, 0.76), shade=0.40),
    "wood": Backdrop((0.80, 0.66, 0.50), (0.56, 0.36, 0.20), mirror=0.08),
    "green": Backdrop((0.27, 0.43, 0.25), (0.40, 0.45, 0.37)),
    "beige": Backdrop((0.88, 0.81, 0.69), (0.84, 0.76, 0.63), shade=0.45),
    "grey": Backdrop((0.60, 0.60, 0.61), (0.52, 0.52, 0.53)),
    "dark blue": Backdrop((0.04, 0.06, 0.24), (0.05, 0.07, 0.20), mirror=0.22, rims=((0.1, 0.8, 0.9), (0.9, 0.1, 0.7))),
    "light blue": Backdrop((0.68, 0.84, 0.95), (0.62, 0.79, 0.91), shade=0.40),
}


def paint_backdrop(name: str, light: str, side: int, rng: np.random.Generator) -> Array:
    """Return a frame of `side` x `side` x 3 in 0..1."""
    backdrop = BACKDROPS[name]
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = at[None, :] - 0.5, 1 - at[:, None]
    floor = ease((HORIZON - y) / 0.12 + 0.5)  # the paper curves from wall to floor without an edge
    if name == "wood":
        floor = ease((HORIZON - y) / 0.01 + 0.5)
    wall, ground = (np.asarray(each, np.float32) for each in (backdrop.wall, backdrop.floor))
    rgb: Array = np.broadcast_to(wall + floor[..., None] * (ground - wall), (side, side, 3))
    shift = {"left": -0.30, "right": 0.30, "above": 0.0}[light]
    pool = np.exp(-(((x - shift) / 0.75) ** 2) - ((y - 0.62) / 0.60) ** 2)
    rgb = rgb * (0.80 + 0.26 * pool)[..., None]
    if name == "wood":
        rgb = rgb * (1 + floor * _grain(x, y, rng))[..., None]
    if backdrop.rims is not None and name != "black":
        for edge, tint in zip((-0.5, 0.5), backdrop.rims, strict=True):
            glow = np.exp(-(((x - edge) / 0.28) ** 2) - ((y - 0.66) / 0.40) ** 2)
            rgb = rgb + 0.34 * glow[..., None] * np.asarray(tint, np.float32)
    return np.clip(rgb, 0, 1)


def _grain(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Return the pattern of planks that run away from the camera, with soft waves along them."""
    away = x / (0.35 + (HORIZON - y) * 1.6)
    plank = np.abs(np.mod(away * 1.6 + rng.uniform(), 1.0) - 0.5)
    waves = np.sin(away * 34 + 3 * np.sin(y * 14 + rng.uniform(0, 6)) + rng.uniform(0, 6))
    pattern: Array = 0.045 * waves - 0.22 * np.clip((0.018 - plank) / 0.012, 0, 1)
    return pattern
