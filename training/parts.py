"""Parts that several products share."""

import numpy as np

from training.scenes import Colour
from training.surfaces import Easel, Points, face, tube


def sphere(centre: float, radius: float) -> Points:
    """Return the profile of a ball around the height `centre`."""
    angles = np.linspace(0, np.pi, 257)
    return [(centre - radius * float(np.cos(angle)), radius * float(np.sin(angle))) for angle in angles]


def handle(
    easel: Easel, colour: Colour, turn: float, *, at: float, height: tuple[float, float], reach: float, thickness: float
) -> None:
    """Draw a handle on the right, foreshortened by the turn."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 13)
    middle, half = (height[0] + height[1]) / 2, (height[1] - height[0]) / 2
    out = at - 0.03, reach * (1 - 0.3 * turn)
    loop = [(out[0] + out[1] * float(np.cos(angle)), middle + half * float(np.sin(angle))) for angle in angles]
    tube(easel, loop, (thickness, thickness), colour)


def block(
    easel: Easel,
    colour: Colour,
    *,
    width: float,
    depth: float,
    height: float,
    yaw: float,
    edges: Colour | None = None,
) -> None:
    """Draw a cuboid turned by `yaw` radians, seen slightly from above: its top, its front and its visible side."""
    cos, sin = np.cos(yaw), np.sin(yaw)

    def corner(across: float, away: float, up: float) -> tuple[float, float]:
        x, z = across * cos - away * sin, across * sin + away * cos
        return float(x), float(up * height + 0.30 * (z + 0.5 * depth))

    wide, deep = width / 2, depth / 2
    near = wide if yaw < 0 else -wide
    front = [corner(-wide, -deep, 0), corner(wide, -deep, 0), corner(wide, -deep, 1), corner(-wide, -deep, 1)]
    flank = [corner(near, -deep, 0), corner(near, deep, 0), corner(near, deep, 1), corner(near, -deep, 1)]
    top = [corner(-wide, -deep, 1), corner(wide, -deep, 1), corner(wide, deep, 1), corner(-wide, deep, 1)]
    face(easel, top, (0.0, 0.95, 0.3), colour if edges is None else edges)
    face(easel, flank, (float(np.sign(near) * cos), 0.0, float(abs(sin))), colour if edges is None else edges)
    face(easel, front, (float(sin), 0.05, float(cos)), colour)
