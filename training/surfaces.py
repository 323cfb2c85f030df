"""Draws the surfaces of products analytically: the coverage, normal and colour of each pixel."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from training.lighting import Lighting
from training.scenes import Array, Colour

Points: TypeAlias = Sequence[tuple[float, float]]

TILT = 0.2  # the camera looks down slightly: circles become ellipses with this ratio of axes
_SAMPLES = 256


class Easel:
    """The layer of one product. `x` and `y` are in its units: it stands on y = 0, and one unit is the frame's side.

    `rgb` (multiplied by `alpha` already) and `alpha` grow with every surface painted, the farthest first.
    """

    def __init__(self, side: int, foot: tuple[float, float], scale: float, lean: float, lighting: Lighting) -> None:
        self.lighting = lighting
        self.pixel = 1 / (side * scale)
        self._side, self._foot, self._scale = side, foot, scale
        at = (np.arange(side, dtype=np.float32) + 0.5) / side
        across, up = (at[None, :] - foot[0]) / scale, ((1 - at)[:, None] - foot[1]) / scale
        self.x: Array = across * np.float32(np.cos(lean)) + up * np.float32(np.sin(lean))
        self.y: Array = up * np.float32(np.cos(lean)) - across * np.float32(np.sin(lean))
        self.rgb: Array = np.zeros((side, side, 3), np.float32)
        self.alpha: Array = np.zeros((side, side), np.float32)

    def window(self, left: float, right: float, bottom: float, top: float) -> tuple[slice, slice]:
        """Return the pixels of a rectangle in the product's units, with room for its lean."""
        columns = [round((self._foot[0] + edge * self._scale) * self._side) for edge in (left - 0.05, right + 0.05)]
        rows = [round((1 - self._foot[1] - edge * self._scale) * self._side) for edge in (top + 0.05, bottom - 0.05)]
        return slice(max(rows[0], 0), max(rows[1], 0)), slice(max(columns[0], 0), max(columns[1], 0))

    def paint(self, window: tuple[slice, slice], coverage: Array, rgb: Array) -> None:
        """Blend `rgb` over the layer by its coverage (0..1)."""
        cover = coverage[..., None]
        self.rgb[window] += cover * (rgb - self.rgb[window])
        self.alpha[window] += coverage * (1 - self.alpha[window])

    def sharp(self, distance: Array) -> Array:
        """Return the coverage at this distance inside an edge, smooth over one pixel."""
        covered: Array = np.clip(distance / self.pixel + 0.5, 0, 1)
        return covered


def revolve(
    easel: Easel,
    profile: Points,
    colour: Colour,
    *,
    centre: float = 0.0,
    tilt: float = TILT,
    rounding: int = 8,
    lobes: float = 0.0,
    glow: float = 0.0,
    decorate: Callable[[Array, Array, Array], Array] | None = None,
) -> None:
    """Draw a surface of revolution. `profile` holds (height, radius) from the foot up.

    `rounding` is the extent of rounded corners to each side, in 1/256 of the height. `decorate(rgb, across, height)`
    may change the colour; `across` is -1..1 over the width.
    """
    heights, radii = _smooth(profile, rounding)
    slopes = np.gradient(radii, heights).astype(np.float32)
    widest = float(radii.max())
    window = easel.window(centre - widest, centre + widest, heights[0] - tilt * widest, heights[-1])
    x, y = easel.x[window] - centre, easel.y[window]
    # A front point at height h appears at h - tilt * depth; iterate to solve for h.
    height = y
    for _ in range(5 if tilt else 0):
        radius = np.interp(height, heights, radii).astype(np.float32)
        # Half steps: whole steps would oscillate near the outline.
        height = (height + y + tilt * np.sqrt(np.maximum(radius**2 - x**2, 0))) / 2
    radius = np.maximum(np.interp(height, heights, radii).astype(np.float32), 1e-4)
    across = np.clip(x / radius, -1, 1)
    slope = np.interp(height, heights, slopes).astype(np.float32)
    outline = (radius - np.abs(x)) / np.sqrt(1 + slope**2)
    if lobes:
        across = across + np.float32(lobes) * np.sin(3 * np.pi * across) * (1 - np.abs(across))
        across = np.clip(across, -1, 1)
    normal = _unit(across, -slope, np.sqrt(1 - across**2))
    coverage = easel.sharp(outline) * easel.sharp(height - heights[0]) * easel.sharp(heights[-1] - height)
    albedo: Array = np.broadcast_to(np.asarray(colour, np.float32), (*x.shape, 3))
    if decorate is not None:
        albedo = decorate(albedo, across, height)
    easel.paint(window, coverage, easel.lighting.shade(normal, albedo, glow=glow))


def disc(easel: Easel, height: float, radius: float, colour: Colour, *, centre: float = 0.0, glow: float = 0.0) -> None:
    """Draw a level circle, seen from above: a lid or a saucer."""
    window, inside = _ellipse(easel, height, radius, centre)
    flat = np.zeros_like(inside)
    normal = (flat, flat + np.float32(0.95), flat + np.float32(0.31))
    albedo: Array = np.broadcast_to(np.asarray(colour, np.float32), (*inside.shape, 3))
    easel.paint(window, inside, easel.lighting.shade(normal, albedo, glow=glow))


def opening(easel: Easel, height: float, radius: float, colour: Colour, *, wall: float = 0.012) -> None:
    """Draw the mouth of a vessel: a rim in its colour, and the far inner wall, darkest in front."""
    disc(easel, height, radius, colour)
    window, inside = _ellipse(easel, height, radius - wall, 0.0)
    depth = np.clip((easel.y[window] - height) / (TILT * radius) * 0.5 + 0.5, 0, 1)
    across = np.clip(easel.x[window] / radius, -1, 1)
    normal = _unit(-across, np.zeros_like(across) + np.float32(0.2), np.sqrt(1 - across**2))
    albedo = np.asarray(colour, np.float32) * (0.30 + 0.45 * depth)[..., None]
    easel.paint(window, inside, easel.lighting.shade(normal, albedo))


def tube(easel: Easel, path: Points, ends: tuple[float, float], colour: Colour) -> None:
    """Draw a round bar along a line of points: a handle, a spout, a stem. `ends` are the radii at its ends."""
    points = np.asarray(path, np.float32)
    radii = np.linspace(*ends, len(points), dtype=np.float32)
    low, high, wide = points.min(0), points.max(0), float(radii.max())
    window = easel.window(low[0] - wide, high[0] + wide, low[1] - wide, high[1] + wide)
    x, y = easel.x[window], easel.y[window]
    nearest = np.full(x.shape, np.inf, np.float32)
    beside, above = np.zeros_like(x), np.zeros_like(x)
    for start, end, radius in zip(points[:-1], points[1:], radii[:-1], strict=True):
        along = end - start
        share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
        dx, dy = (x - start[0] - share * along[0]) / radius, (y - start[1] - share * along[1]) / radius
        away = dx * dx + dy * dy
        closer = away < nearest
        nearest = np.where(closer, away, nearest)
        beside, above = np.where(closer, dx, beside), np.where(closer, dy, above)
    normal = _unit(beside, above, np.sqrt(np.maximum(1 - nearest, 0.01)))
    coverage = easel.sharp((1 - np.sqrt(nearest)) * float(radii.mean()))
    albedo: Array = np.broadcast_to(np.asarray(colour, np.float32), (*x.shape, 3))
    easel.paint(window, coverage, easel.lighting.shade(normal, albedo))


def face(easel: Easel, corners: Points, normal: tuple[float, float, float], colour: Colour) -> None:
    """Draw a flat convex polygon; its corners may run in either direction."""
    points = np.asarray(corners, np.float32)
    (ax, ay), (bx, by) = points[1] - points[0], points[2] - points[1]
    if ax * by < ay * bx:
        points = points[::-1]
    low, high = points.min(0), points.max(0)
    window = easel.window(low[0], high[0], low[1], high[1])
    x, y = easel.x[window], easel.y[window]
    coverage = np.ones(x.shape, np.float32)
    for start, end in zip(points, np.roll(points, -1, 0), strict=True):
        along = (end - start) / np.hypot(*(end - start))
        coverage = np.minimum(coverage, easel.sharp(along[0] * (y - start[1]) - along[1] * (x - start[0])))
    # A flat face reflects a whole wall of the studio, which is a gentle gradient.
    bend = (x - points[:, 0].mean()) / max(float(high[0] - low[0]), 1e-3) * 0.35
    lift = (y - points[:, 1].mean()) / max(float(high[1] - low[1]), 1e-3) * 0.25
    full = np.ones_like(x)
    shaded = easel.lighting.shade(
        _unit(full * normal[0] + bend, full * normal[1] + lift, full * normal[2]),
        np.broadcast_to(np.asarray(colour, np.float32), (*x.shape, 3)),
        mirror=0.25,  # full reflection would wash out the whole face
    )
    easel.paint(window, coverage, shaded)


def _ellipse(easel: Easel, height: float, radius: float, centre: float) -> tuple[tuple[slice, slice], Array]:
    window = easel.window(centre - radius, centre + radius, height - TILT * radius, height + TILT * radius)
    x, y = easel.x[window] - centre, (easel.y[window] - height) / TILT
    distance = np.hypot(x, y)
    # The coverage changes faster along the short axis.
    steep = np.hypot(x, y / TILT) / np.maximum(distance, 1e-4)
    return window, easel.sharp((radius - distance) / np.maximum(steep, 1))


def _smooth(profile: Points, rounding: int) -> tuple[Array, Array]:
    heights, radii = np.asarray(profile, np.float32).T
    fine = np.linspace(heights[0], heights[-1], _SAMPLES, dtype=np.float32)
    kernel = np.hanning(2 * rounding + 3)
    values = np.interp(fine, heights, radii)
    padded = np.pad(values, rounding + 1, mode="reflect", reflect_type="odd")
    return fine, np.convolve(padded, kernel / kernel.sum(), "valid").astype(np.float32)


def _unit(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    length = np.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length
