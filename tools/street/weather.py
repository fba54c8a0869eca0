"""Light of the hour, sensor noise, rain.

Knows:  how bright each light is, and a store of ready noise fields.
Never:  what is in the picture.
Leaves: :class:`Lamp` for drawing, and changes of at most +-24 to a finished plane.
Clauses: none.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tools.street.scene import Scene
from tools.street.splat import Lamp

Bytes = npt.NDArray[np.uint8]
SPARE = 64
"""Pixels by which a noise field is larger than the picture, so that it can be moved a little each frame."""


def lamp_of(scene: Scene, rng: np.random.Generator) -> tuple[Lamp, float, float]:
    """Return the lamp, the ground's brightness and how dark a shadow is (0..1)."""
    angle, high = float(rng.uniform(-2.6, 2.6)), float(rng.uniform(0.55, 1.1))
    sun = (math.sin(angle) * math.cos(high), -math.cos(angle) * math.cos(high), math.sin(high))
    if scene.light == "day" and not scene.rain and rng.random() < 0.65:
        return Lamp(0.68, 0.52, sun, (1.03, 1.0, 0.95), grey=scene.infrared), 1.15, 0.42
    if scene.light == "day":
        level = 0.80 if scene.rain else 0.96
        return Lamp(level, 0.08, (0.0, -0.2, 0.98), (0.98, 1.0, 1.03), grey=scene.infrared), level, 0.12
    if scene.light == "dusk":
        return Lamp(0.56, 0.12, sun, (0.98, 0.97, 1.08), grey=scene.infrared), 0.62, 0.12
    tint = (1.0, 1.0, 1.0) if scene.infrared else (1.12, 0.98, 0.78)
    return Lamp(0.50, 0.25, (0.2, -0.3, 0.93), tint, grey=scene.infrared), 0.62, 0.15


class Grain:
    """Noise of the sensor and streaks of rain, added to finished planes."""

    def __init__(self, scene: Scene, rng: np.random.Generator, shape: tuple[int, int]) -> None:
        sigma = {"day": 1.6, "dusk": 3.2, "night": 5.5}[scene.light]
        self._fields = [self._field(rng, shape, sigma, streaks=240 if scene.rain else 0) for _ in range(3)]
        self._colour = self._field(
            rng, (shape[0] // 2, shape[1] // 2), 0.0 if scene.infrared else sigma * 0.45, streaks=0
        )

    @staticmethod
    def _field(rng: np.random.Generator, shape: tuple[int, int], sigma: float, streaks: int) -> Bytes:
        rows, columns = shape[0] + SPARE, shape[1] + SPARE
        noise = rng.normal(0, sigma, (rows, columns)) if sigma else np.zeros((rows, columns))
        if sigma > 2:
            noise = 0.75 * noise + 0.45 * np.roll(noise, 1, axis=1)
        for _ in range(streaks):
            top, left = int(rng.integers(0, rows - 40)), int(rng.integers(0, columns - 12))
            length, slant = int(rng.integers(10, 36)), float(rng.uniform(0.05, 0.25))
            steps = np.arange(length)
            noise[top + steps, left + (steps * slant).astype(int)] += float(rng.uniform(6, 20))
        return np.clip(np.round(noise), -24, 24).astype(np.int8).view(np.uint8)

    def add(self, planes: tuple[Bytes, Bytes, Bytes], rng: np.random.Generator) -> None:
        """Add one frame's grain in place; bytes cannot overflow, see ``splat.DARKEST``."""
        for plane, field in zip(planes, (self._fields[int(rng.integers(3))], self._colour, self._colour), strict=True):
            down, over = int(rng.integers(SPARE)), int(rng.integers(SPARE))
            np.add(plane, field[down : down + plane.shape[0], over : over + plane.shape[1]], out=plane)
