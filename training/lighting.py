"""The light of a small photo studio: one soft box and a fill, on surfaces of three finishes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.scenes import Array

_KEY: Final = {"left": (-0.66, 0.42, 0.62), "right": (0.66, 0.42, 0.62), "above": (0.0, 0.82, 0.57)}


@dataclass(frozen=True)
class Lighting:
    """`light` is the place of the soft box, `finish` the product's reflectance; `rims` tint the product's two edges."""

    light: str
    finish: str
    ambient: float = 0.42
    rims: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None

    def shade(self, normal: tuple[Array, Array, Array], albedo: Array, glow: float = 0.0, mirror: float = 1.0) -> Array:
        """Return the light of each pixel, in 0..1 with clipped highlights. `glow` is light that the product emits."""
        x, y, z = normal
        key = _KEY[self.light]
        facing = np.clip(0.62 * (x * key[0] + y * key[1] + z * key[2]) + 0.38, 0, 1)
        diffuse = self.ambient + 0.12 * y + 0.62 * facing
        mirrored = mirror * self._mirrored(x, y)
        if self.finish == "metallic":
            rgb = albedo * (0.22 + 0.28 * diffuse + 1.15 * mirrored)[..., None] + (0.16 * mirrored)[..., None]
        else:
            strength, sheen = (0.62, 0.03) if self.finish == "glossy" else (0.05, 0.02)
            edge = sheen * (1 - np.clip(z, 0, 1)) ** 2
            rgb = albedo * diffuse[..., None] + (strength * mirrored + edge)[..., None]
        if self.rims is not None:
            for side, tint in zip((-1, 1), self.rims, strict=True):
                rgb = rgb + (np.clip(side * x - 0.55, 0, 1) ** 1.5)[..., None] * np.asarray(tint, np.float32)
        return _clip(rgb + glow * albedo)

    def _mirrored(self, x: Array, y: Array) -> Array:
        """Return how much of the soft box, and of a weaker strip opposite, each pixel reflects."""
        if self.light == "above":
            box: Array = _strip(y, 0.62, 0.22) + 0.5 * _strip(np.abs(x), 0.62, 0.10)
        else:
            side = np.float32(-1 if self.light == "left" else 1)
            box = _strip(side * x, 0.52, 0.15) + 0.35 * _strip(-side * x, 0.80, 0.07)
        return _clip(box * (0.75 + 0.25 * y))


def _strip(value: Array, centre: float, half_width: float) -> Array:
    """Return 1 inside a band, falling off softly over its edges."""
    return ease((half_width - np.abs(value - centre)) / (0.6 * half_width) + 0.5)


def ease(share: Array) -> Array:
    """Interpolate from 0 to 1 without a corner at either end; constant beyond."""
    share = _clip(share)
    return _clip(share * share * (3 - 2 * share))


def _clip(values: Array) -> Array:
    return np.clip(values, 0, 1)
