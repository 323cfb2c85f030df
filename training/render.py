"""Renders a studio photo of a scene in a few milliseconds: `render(scene, rng)`."""

import numpy as np
from numpy.typing import NDArray

from training.backdrops import BACKDROPS, paint_backdrop
from training.lighting import Lighting
from training.products import DRAW, ZOOM
from training.scenes import COLOURS, Array, Scene
from training.surfaces import Easel

SIDE = 128
_FINER = 2  # drawn larger by this factor and averaged, which smooths the remaining edges
_UNIT = 0.68  # share of the frame's side, at size 1
_SHADOW_FALL = {"left": 0.16, "right": -0.16, "above": 0.0}


def render(scene: Scene, rng: np.random.Generator, side: int = SIDE) -> NDArray[np.uint8]:
    """Return `side` x `side` x 3. Details that the scene leaves open (place, lean, exact colour) come from `rng`."""
    fine = (np.clip(_draw(scene, rng, _FINER * side), 0, 1) * 255 + 0.5).astype(np.uint8)
    mean: Array = fine.reshape(side, _FINER, side, _FINER, 3).mean(axis=(1, 3), dtype=np.float32)
    return mean.round().astype(np.uint8)


def _draw(scene: Scene, rng: np.random.Generator, side: int) -> Array:
    frame = paint_backdrop(scene.background, scene.light, side, rng)
    base = np.asarray(COLOURS[scene.colour], np.float32)
    colour = tuple(np.clip(base * rng.uniform(0.92, 1.06) + rng.uniform(-0.02, 0.02, 3), 0.02, 0.98).tolist())
    for foot, scale in _places(scene, rng):
        easel = Easel(side, foot, scale, float(rng.normal(0, 0.012)), _lighting(scene))
        DRAW[scene.product](easel, colour, float(np.clip(scene.turn + rng.normal(0, 0.05), 0, 1)))
        _cast(frame, easel, scene)
        frame += easel.rgb - easel.alpha[..., None] * frame
    return frame


def _places(scene: Scene, rng: np.random.Generator) -> list[tuple[tuple[float, float], float]]:
    """Return foot and scale of each product, the farther one first."""
    scale = _UNIT * ZOOM[scene.product] * scene.size
    if scene.count == 1:
        return [((0.5 + float(rng.normal(0, 0.025)), 0.17 + float(rng.normal(0, 0.012))), scale)]
    apart = 0.23 + float(rng.uniform(-0.01, 0.02))
    near = 1 if rng.random() < 0.5 else -1
    return [
        ((0.5 - near * apart, 0.22), 0.66 * scale),
        ((0.5 + near * apart, 0.17), 0.70 * scale),
    ]


def _lighting(scene: Scene) -> Lighting:
    return Lighting(scene.light, scene.finish, rims=BACKDROPS[scene.background].rims)


def _cast(frame: Array, easel: Easel, scene: Scene) -> None:
    """Darken the floor under the product and in its shadow, then mirror the product in the floor."""
    backdrop = BACKDROPS[scene.background]
    covered = easel.alpha > 0.5
    if not covered.any():
        return
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    side = len(frame)
    foot, left, right = rows[-1], columns[0], columns[-1]
    x, y = np.arange(side, dtype=np.float32)[None, :], np.arange(side, dtype=np.float32)[:, None]
    half, centre = (right - left) / 2, (left + right) / 2
    dark = np.zeros((side, side), np.float32)
    for reach, depth, weight, fall in ((1.02, 0.16, 0.75, 0.3), (1.45, 0.30, 0.45, 1.0)):
        middle = centre + _SHADOW_FALL[scene.light] * fall * 2 * half
        across = (x - middle) / (reach * half + 2)
        away = (y - foot + 0.12 * half) / (depth * half + 0.02 * side)
        dark = np.maximum(dark, weight * np.exp(-1.6 * (across**2 + away**2) ** 1.3))
    frame *= 1 - backdrop.shade * dark[..., None]
    if backdrop.mirror:
        depth = side - 1 - foot
        source = slice(max(foot - depth, 0), foot)
        flipped_rgb, flipped_alpha = easel.rgb[source][::-1], easel.alpha[source][::-1]
        target = slice(foot, foot + len(flipped_alpha))
        fade = backdrop.mirror * np.linspace(1, 0, len(flipped_alpha), dtype=np.float32)[:, None]
        frame[target] += fade[..., None] * (flipped_rgb - flipped_alpha[..., None] * frame[target])
