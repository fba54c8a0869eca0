"""Where people are counted.

Knows:  polygons in fractions of the picture, drawn once at commissioning.
Never:  who stood where: a foot point is looked up and forgotten.
Leaves: a mask of the model's picture.
Clauses: 6.1(3) (one particular place), 6.2(2) (posters, statues and reflections are drawn out, not counted).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Polygon = tuple[tuple[float, float], ...]
"""At least three corners ``(x, y)``, each 0.0 to 1.0 of the picture's width and height."""


def mask(height: int, width: int, region: Polygon, ignored: tuple[Polygon, ...]) -> npt.NDArray[np.bool_]:
    """Return a (height, width) mask: True where a foot point counts. An empty ``region`` is the whole picture."""
    counted = _inside(height, width, region) if region else np.ones((height, width), np.bool_)
    for polygon in ignored:
        counted &= ~_inside(height, width, polygon)
    return counted


def _inside(height: int, width: int, polygon: Polygon) -> npt.NDArray[np.bool_]:
    """Even-odd rule at the middle of every pixel."""
    x = ((np.arange(width) + 0.5) / width)[None, :]
    y = ((np.arange(height) + 0.5) / height)[:, None]
    inside = np.zeros((height, width), np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside
