"""The picture being drawn: planes, and which person each small pixel shows.

Knows:  how to lay a sprite over planar 4:2:0, and how to hand the picture out in both sizes.
Never:  who is drawn.
Leaves: Y, U, V planes and the person map.
Clauses: none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tools.street.splat import Sprite

Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int16]
Edges = tuple[float, float, float, float]

SEEN_COVER = 100
"""Cover (of 255) from which a pixel counts as showing what was drawn."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A sprite ready to be laid down again and again; ``outline`` is its drawn extent, ``solid`` its drawn pixels."""

    picture: Image.Image
    left: float
    top: float
    scale: float
    outline: Edges
    solid: int

    @staticmethod
    def of(sprite: Sprite) -> Stamp:
        """Measure a sprite once."""
        rows, columns, layers = sprite.pixels.shape
        cover = sprite.pixels[..., -1]
        solid = cover >= SEEN_COVER
        down, over = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        outline = (float(over[0]), float(down[0]), float(over[-1] + 1), float(down[-1] + 1))
        margin = 3
        padded = np.zeros((rows + 2 * margin, columns + 2 * margin, layers), np.uint8)
        padded[margin:-margin, margin:-margin] = sprite.pixels
        mode = "CMYK" if layers == 4 else "L"
        size = (padded.shape[1], padded.shape[0])
        picture = Image.frombytes(mode, size, padded.tobytes())
        edges = tuple(edge + margin for edge in outline)
        return Stamp(
            picture,
            sprite.left - margin,
            sprite.top - margin,
            sprite.scale,
            (edges[0], edges[1], edges[2], edges[3]),
            int(solid.sum()),
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A stamp at its final size: all pixels, those of the chroma planes, first column and row (even)."""

    full: Bytes
    half: Bytes
    left: int
    top: int


def placed(stamp: Stamp, column: float, row: float, ratio: float) -> Edges:
    """Return the drawn extent in picture pixels when the anchor lies at ``column``, ``row``."""
    x, y = column + stamp.left * ratio, row + stamp.top * ratio
    left, top, right, bottom = stamp.outline
    return x + left * ratio, y + top * ratio, x + right * ratio, y + bottom * ratio


class Canvas:
    """Planes of one picture size, refilled from the backdrop for each frame."""

    def __init__(self, backdrop: tuple[Bytes, Bytes, Bytes]) -> None:
        self._backdrop = backdrop
        self.y, self.u, self.v = (plane.copy() for plane in backdrop)
        self.ids: Ids = np.zeros(self.u.shape, np.int16)

    def clear(self) -> None:
        """Begin a frame."""
        for plane, source in zip((self.y, self.u, self.v), self._backdrop, strict=True):
            np.copyto(plane, source)
        self.ids.fill(0)

    def _window(self, stamp: Stamp, column: float, row: float, ratio: float) -> tuple[Image.Image, int, int] | None:
        """Resize what falls inside the picture; returns it with its even left and top pixel."""
        x, y = column + stamp.left * ratio, row + stamp.top * ratio
        width, height = stamp.picture.size
        left, top = max(0, -(-int(np.ceil(x)) // 2) * 2), max(0, -(-int(np.ceil(y)) // 2) * 2)
        right = min(self.y.shape[1], int((x + width * ratio) // 2 * 2))
        bottom = min(self.y.shape[0], int((y + height * ratio) // 2 * 2))
        if right - left < 2 or bottom - top < 2:
            return None
        source = (
            max(0.0, (left - x) / ratio),
            max(0.0, (top - y) / ratio),
            min(float(width), (right - x) / ratio),
            min(float(height), (bottom - y) / ratio),
        )
        resized = stamp.picture.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=source)
        return resized, left, top

    def fit(self, stamp: Stamp, column: float, row: float, ratio: float) -> Fitted | None:
        """Bring a coloured stamp to its size and place; None where nothing of it falls inside the picture."""
        found = self._window(stamp, column, row, ratio)
        if found is None:
            return None
        resized, left, top = found
        return Fitted(np.asarray(resized), np.asarray(resized.reduce(2)), left, top)

    def lay(self, fitted: Fitted, number: int) -> None:
        """Lay a fitted stamp over the picture and mark its small pixels with ``number`` (0: nobody)."""
        full, half, left, top = fitted.full, fitted.half, fitted.left, fitted.top
        height, width = full.shape[:2]
        _over(self.y[top : top + height, left : left + width], full[..., 0], full[..., 3])
        rows, columns = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
        _over(self.u[rows, columns], half[..., 1], half[..., 3])
        _over(self.v[rows, columns], half[..., 2], half[..., 3])
        self.ids[rows, columns][half[..., 3] >= SEEN_COVER] = number

    def darken(self, stamp: Stamp, column: float, row: float, ratio: float, strength: float) -> None:
        """Lay a shadow on the ground."""
        found = self._window(stamp, column, row, ratio)
        if found is None:
            return
        cover, left, top = np.asarray(found[0]), found[1], found[2]
        area = self.y[top : top + cover.shape[0], left : left + cover.shape[1]]
        keep = np.multiply(cover, round(strength * 256), dtype=np.uint16) >> 8
        area[:] = np.multiply(area, 256 - keep, dtype=np.uint16) >> 8

    def stain(self, stamp: Stamp, column: float, row: float, ratio: float, strength: float) -> None:
        """Lay a shadow that stays: on the backdrop itself."""
        self.clear()
        self.darken(stamp, column, row, ratio, strength)
        np.copyto(self._backdrop[0], self.y)


def _over(area: Bytes, colour: Bytes, cover: Bytes) -> None:
    rest = np.multiply(area, 255 - cover.astype(np.uint16), dtype=np.uint16)
    np.add(colour, ((rest + 255) >> 8).astype(np.uint8), out=area)


def halve(plane: Bytes, out: Bytes) -> None:
    """Average 2 x 2 pixels into ``out``, rounding half up."""
    rows = np.add(plane[0::2], plane[1::2], dtype=np.uint16)
    total = rows[:, 0::2] + rows[:, 1::2]
    total += 2
    total >>= 2
    np.copyto(out, total, casting="unsafe")
