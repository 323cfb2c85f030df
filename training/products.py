"""Draws the products, each of surfaces from back to front. They stand on y = 0; the frame is about 1.5 units wide."""

from collections.abc import Callable
from typing import Final

import numpy as np

from training.parts import block, handle, sphere
from training.scenes import Array, Colour
from training.surfaces import Easel, disc, face, opening, revolve, tube

STEEL: Final = (0.72, 0.73, 0.75)
DARK: Final = (0.10, 0.10, 0.11)
PAPER: Final = (0.93, 0.91, 0.86)
WOOD: Final = (0.55, 0.36, 0.20)


def bottle(easel: Easel, colour: Colour, _turn: float) -> None:
    body = [(0, 0.14), (0.02, 0.15), (0.50, 0.15), (0.60, 0.13), (0.70, 0.055), (0.78, 0.05), (0.93, 0.05)]
    revolve(easel, body, colour, rounding=28)
    revolve(easel, [(0.88, 0.058), (1.0, 0.058)], DARK)
    disc(easel, 1.0, 0.056, DARK)


def mug(easel: Easel, colour: Colour, turn: float) -> None:
    handle(easel, colour, turn, at=0.20, height=(0.13, 0.42), reach=0.17, thickness=0.028)
    revolve(easel, [(0, 0.19), (0.03, 0.21), (0.52, 0.21)], colour)
    opening(easel, 0.52, 0.21, colour)


def cup(easel: Easel, colour: Colour, turn: float) -> None:
    disc(easel, 0.03, 0.36, colour)
    disc(easel, 0.045, 0.27, tuple(0.86 * part for part in colour))  # type: ignore[arg-type]
    handle(easel, colour, turn, at=0.20, height=(0.16, 0.33), reach=0.13, thickness=0.02)
    revolve(easel, [(0.04, 0.10), (0.08, 0.12), (0.20, 0.20), (0.36, 0.245)], colour, rounding=40)
    opening(easel, 0.36, 0.245, colour)


def vase(easel: Easel, colour: Colour, _turn: float) -> None:
    body = [(0, 0.11), (0.10, 0.17), (0.30, 0.24), (0.48, 0.21), (0.66, 0.09), (0.78, 0.07), (0.90, 0.12)]
    revolve(easel, body, colour, rounding=28)
    opening(easel, 0.90, 0.12, colour)


def bowl(easel: Easel, colour: Colour, _turn: float) -> None:
    body = [(0, 0.13), (0.03, 0.15), (0.08, 0.25), (0.16, 0.34), (0.27, 0.39)]
    revolve(easel, body, colour, rounding=28)
    opening(easel, 0.27, 0.39, colour, wall=0.016)


def ball(easel: Easel, colour: Colour, _turn: float) -> None:
    revolve(easel, sphere(0.30, 0.30), colour, tilt=0.0, rounding=0)


def jar(easel: Easel, colour: Colour, _turn: float) -> None:
    def label(rgb: Array, across: Array, height: Array) -> Array:
        stuck = (np.abs(across) < 0.72) & (height > 0.14) & (height < 0.38)
        printed = stuck & (np.abs(across) < 0.45) & (np.abs(height - 0.27) < 0.022)
        labelled = np.where(stuck[..., None], np.asarray(PAPER, np.float32), rgb)
        return np.where(printed[..., None], np.asarray(DARK, np.float32), labelled)

    body = [(0, 0.20), (0.03, 0.225), (0.44, 0.225), (0.52, 0.19), (0.55, 0.165)]
    revolve(easel, body, colour, decorate=label)
    revolve(easel, [(0.53, 0.19), (0.64, 0.19)], STEEL)
    disc(easel, 0.64, 0.188, STEEL)


def candle(easel: Easel, colour: Colour, _turn: float) -> None:
    revolve(easel, [(0, 0.13), (0.62, 0.13)], colour)
    disc(easel, 0.62, 0.13, tuple(min(1.0, 1.15 * part + 0.06) for part in colour), glow=0.15)  # type: ignore[arg-type]
    tube(easel, [(0, 0.62), (0.004, 0.69)], (0.008, 0.008), DARK)
    flame = [(0.665, 0.004), (0.70, 0.030), (0.74, 0.024), (0.82, 0.003)]
    revolve(easel, flame, rounding=20, colour=(1.0, 0.72, 0.20), tilt=0.0, glow=0.9)


def bell_pepper(easel: Easel, colour: Colour, _turn: float) -> None:
    body = [(0, 0.05), (0.02, 0.14), (0.12, 0.21), (0.30, 0.25), (0.42, 0.25), (0.50, 0.18), (0.52, 0.05)]
    revolve(easel, body, colour, tilt=0.0, rounding=28, lobes=0.16)
    tube(easel, [(-0.07, 0.49), (0, 0.51), (0.07, 0.49)], (0.025, 0.025), (0.20, 0.42, 0.12))
    tube(easel, [(0, 0.50), (0.015, 0.57), (0.05, 0.64)], (0.028, 0.022), (0.24, 0.46, 0.15))


def cosmetic_tube(easel: Easel, colour: Colour, _turn: float) -> None:
    revolve(easel, [(0.14, 0.115), (0.40, 0.135), (0.80, 0.165), (0.84, 0.165)], colour, tilt=0.05)
    face(easel, [(-0.165, 0.83), (0.165, 0.83), (0.165, 0.90), (-0.165, 0.90)], (0, 0.1, 1), colour)
    revolve(easel, [(0, 0.10), (0.15, 0.105)], PAPER, tilt=0.1)


def lamp(easel: Easel, colour: Colour, _turn: float) -> None:
    revolve(easel, [(0, 0.17), (0.03, 0.17)], STEEL)
    disc(easel, 0.03, 0.17, STEEL)
    tube(easel, [(0, 0.04), (0, 0.62)], (0.018, 0.018), STEEL)
    revolve(easel, [(0.52, 0.29), (0.90, 0.15)], colour, glow=0.22)
    disc(easel, 0.90, 0.148, colour, glow=0.6)


def teapot(easel: Easel, colour: Colour, turn: float) -> None:
    handle(easel, colour, turn, at=0.24, height=(0.14, 0.40), reach=0.15, thickness=0.027)
    along = np.linspace(0, 1, 10).tolist()
    spout = [(-0.20 - 0.25 * share, 0.15 + 0.28 * share**1.7) for share in along]
    tube(easel, spout, (0.065, 0.026), colour)
    body = [(height, 0.29 * (1 - ((height - 0.22) / 0.27) ** 2) ** 0.5) for height in np.linspace(0, 0.46, 40).tolist()]
    revolve(easel, body, colour)
    revolve(easel, [(0.44, 0.14), (0.50, 0.10), (0.53, 0.03)], colour, rounding=40)
    revolve(easel, sphere(0.56, 0.038), colour, tilt=0.0)


def perfume_flask(easel: Easel, colour: Colour, turn: float) -> None:
    block(easel, colour, width=0.42, depth=0.14, height=0.42, yaw=0.35 * turn)
    pale: Colour = tuple(0.55 * part + 0.42 for part in colour)  # type: ignore[assignment]
    shift = -0.02 * turn
    inner = [(-0.15, 0.07), (0.15, 0.07), (0.15, 0.35), (-0.15, 0.35)]
    face(easel, [(x * 0.9 + shift, y) for x, y in inner], (-0.1, 0.25, 1), pale)
    revolve(easel, [(0.42, 0.055), (0.50, 0.055)], (0.83, 0.66, 0.30))
    revolve(easel, [(0.49, 0.085), (0.66, 0.085)], DARK)
    disc(easel, 0.66, 0.084, DARK)


def can(easel: Easel, colour: Colour, turn: float) -> None:
    revolve(easel, [(0, 0.155), (0.03, 0.18), (0.06, 0.18)], STEEL)
    revolve(easel, [(0.05, 0.18), (0.58, 0.18)], colour)
    revolve(easel, [(0.57, 0.18), (0.60, 0.175), (0.64, 0.15)], STEEL)
    disc(easel, 0.64, 0.15, STEEL)
    disc(easel, 0.645, 0.125, (0.55, 0.56, 0.58))
    disc(easel, 0.648, 0.04, STEEL, centre=0.03 * turn)


def box(easel: Easel, colour: Colour, turn: float) -> None:
    block(easel, colour, width=0.46, depth=0.40, height=0.42, yaw=0.35 + 0.3 * turn)


def book(easel: Easel, colour: Colour, turn: float) -> None:
    block(easel, colour, width=0.50, depth=0.12, height=0.70, yaw=0.45 + 0.2 * turn, edges=PAPER)
    cover = 0.50 * np.cos(0.45 + 0.2 * turn) * 0.5
    middle = 0.12 * np.sin(0.45 + 0.2 * turn) * 0.5
    for low, high, width in ((0.46, 0.52, 0.62), (0.38, 0.42, 0.42)):
        bar = [(-1, low), (1, low), (1, high), (-1, high)]
        face(easel, [(middle + x * cover * width, y) for x, y in bar], (0, 0.1, 1), (0.90, 0.80, 0.55))


def coffee_grinder(easel: Easel, colour: Colour, _turn: float) -> None:
    revolve(easel, [(0, 0.19), (0.05, 0.19), (0.07, 0.165), (0.40, 0.165)], colour)
    revolve(easel, [(0.38, 0.17), (0.42, 0.17), (0.50, 0.12), (0.54, 0.04)], STEEL)
    crank = [(0, 0.52), (0, 0.63), (0.10, 0.65), (0.24, 0.66)]
    tube(easel, crank, (0.018, 0.018), STEEL)
    revolve(easel, [(0.66, 0.02), (0.70, 0.04), (0.76, 0.035), (0.78, 0.012)], WOOD, centre=0.24, tilt=0.0)


DRAW: Final[dict[str, Callable[[Easel, Colour, float], None]]] = {
    "bottle": bottle,
    "mug": mug,
    "cup": cup,
    "vase": vase,
    "bowl": bowl,
    "ball": ball,
    "jar": jar,
    "candle": candle,
    "bell pepper": bell_pepper,
    "tube": cosmetic_tube,
    "lamp": lamp,
    "teapot": teapot,
    "perfume flask": perfume_flask,
    "can": can,
    "box": box,
    "book": book,
    "coffee grinder": coffee_grinder,
}

# Small products are photographed from nearer.
ZOOM: Final[dict[str, float]] = {
    "bottle": 0.95,
    "mug": 1.3,
    "cup": 1.2,
    "vase": 1.0,
    "bowl": 1.12,
    "ball": 1.15,
    "jar": 1.15,
    "candle": 1.0,
    "bell pepper": 1.2,
    "tube": 1.0,
    "lamp": 1.0,
    "teapot": 1.1,
    "perfume flask": 1.12,
    "can": 1.15,
    "box": 1.3,
    "book": 0.98,
    "coffee grinder": 1.0,
}
