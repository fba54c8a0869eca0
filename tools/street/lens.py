"""Where a point of the street falls on the picture.

Knows:  a pinhole above the origin, looking along +y and down; x right, y ahead, z up, metres.
Never:  colour or time.
Leaves: pixels and camera coordinates.
Clauses: none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lens:
    """A pinhole camera: ``width`` x ``height`` pixels, ``focal`` in pixels, ``above`` metres over the ground."""

    width: int
    height: int
    focal: float
    above: float
    tilt_radians: float

    @staticmethod
    def of(width: int, above: float, tilt: float, view: float) -> Lens:
        """Build a 16:9 lens from degrees."""
        focal = width / 2 / math.tan(math.radians(view) / 2)
        return Lens(width, width * 9 // 16, focal, above, math.radians(tilt))

    def axes(self) -> Floats:
        """Return rows right, down, forward in world coordinates, (3, 3)."""
        c, s = math.cos(self.tilt_radians), math.sin(self.tilt_radians)
        return np.array([[1, 0, 0], [0, -s, -c], [0, c, -s]], np.float32)

    def pixel(self, x: float, y: float, z: float = 0.0) -> tuple[float, float, float]:
        """Return column, row and forward distance (metres, may be negative) of one world point."""
        c, s = math.cos(self.tilt_radians), math.sin(self.tilt_radians)
        up = z - self.above
        forward = y * c - up * s
        safe = forward if forward > 0.05 else 0.05
        down = -y * s - up * c
        return self.focal * x / safe + self.width / 2, self.focal * down / safe + self.height / 2, forward

    def ground_at(self, column: float, row: float) -> tuple[float, float]:
        """Return x, y of the ground point seen at a pixel; far away where the pixel shows no ground."""
        c, s = math.cos(self.tilt_radians), math.sin(self.tilt_radians)
        a = (column - self.width / 2) / self.focal
        b = (row - self.height / 2) / self.focal
        drop = max(b * c + s, 0.02)
        far = self.above / drop
        return a * far, (c - b * s) * far
