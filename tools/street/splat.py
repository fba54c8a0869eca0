"""From a coloured cloud of points to a picture with see-through edges.

Knows:  projection, nearest-wins, one sun and one sky, full-range BT.601.
Never:  what the cloud is.
Leaves: :class:`Sprite`: Y, U, V multiplied by cover, and cover, 8 bit.
Clauses: none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.street.lens import Lens

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

DARKEST, BRIGHTEST = 26, 229
"""Drawn luma keeps away from both ends, so that noise can be added without a clip."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """How a surface is lit: the sky's part and the sun's, the unit vector towards the sun, the tint of both."""

    sky: float
    sun: float
    towards_sun: tuple[float, float, float]
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn thing: (rows, columns, 4) uint8 = Y, U, V premultiplied by cover, cover 0..255.

    ``left``, ``top`` place its first pixel relative to the anchor's pixel, in sprite pixels; ``scale`` is sprite
    pixels a metre at the anchor.
    """

    pixels: Bytes
    left: float
    top: float
    scale: float


@dataclass(frozen=True, slots=True)
class Surface:
    """A cloud ready to be drawn: points and unit normals (3, N) float32, metres; paint (3, N): luma, signed chroma."""

    points: Floats
    normals: Floats
    paint: Floats


def paint_of(rgb: Floats, tint: tuple[float, float, float]) -> Floats:
    """Return luma and signed chroma (3, N) of colours (N, 3) 0..1 under a tinted light; full-range BT.601."""
    lit = rgb * np.array(tint, np.float32)
    y = lit @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.stack([y, (lit[:, 2] - y) * (0.5 / 0.886), (lit[:, 0] - y) * (0.5 / 0.701)]).astype(np.float32)


def _cast(flat: npt.NDArray[np.int32], depth: Floats, values: npt.NDArray[np.uint32], width: int, size: int) -> Bytes:
    """Write each point as 2 x 2 pixels, far ones first."""
    near, far = float(depth.min()), float(depth.max())
    rank = ((far - depth) * (65535 / max(far - near, 1e-6))).astype(np.uint16)
    order = np.argsort(rank, kind="stable")
    steps = np.array([0, 1, width, width + 1], np.int32)
    picture = np.zeros(size, np.uint32)
    picture[(flat[order][:, None] + steps).ravel()] = np.repeat(values[order], 4)
    return picture.view(np.uint8)


def splat(surface: Surface, *, at: tuple[float, float], lens: Lens, lamp: Lamp, oversample: float) -> Sprite:
    """Draw a cloud standing at ground point ``at`` as ``lens`` sees it, ``oversample`` times as large."""
    axes = lens.axes()
    foot = axes @ np.array([at[0], at[1], -lens.above], np.float32)
    view = foot / np.sqrt(float((foot * foot).sum()))
    facing = (-(view @ axes)) @ surface.normals
    front = np.flatnonzero(facing > -0.08)
    facing, normals = facing[front], surface.normals[:, front]
    seen = axes @ surface.points[:, front]
    depth = seen[2] + foot[2]
    focal = lens.focal * oversample
    near = focal / np.maximum(depth, 0.4)
    u, v = (seen[0] + foot[0]) * near, (seen[1] + foot[1]) * near
    left, top = np.floor(u.min()) - 1, np.floor(v.min()) - 1
    iu, iv = (u - left).astype(np.int32), (v - top).astype(np.int32)
    width, height = int(iu.max()) + 4, int(iv.max()) + 4
    sun = np.maximum(np.array(lamp.towards_sun, np.float32) @ normals, 0)
    light = (0.78 + 0.22 * normals[2]) * (0.72 + 0.28 * np.clip(facing, 0, 1)) * lamp.sky + lamp.sun * sun
    lit = surface.paint[:, front] * (light * 255)
    packed = np.empty((len(front), 4), np.uint8)
    packed[:, 0] = np.clip(lit[0], DARKEST, BRIGHTEST)
    packed[:, 1:3] = 128
    if not lamp.grey:
        packed[:, 1] = np.clip(lit[1] + 128, 16, 240)
        packed[:, 2] = np.clip(lit[2] + 128, 16, 240)
    packed[:, 3] = 255
    pixels = _cast(iv * width + iu, depth, packed.view(np.uint32).ravel(), width, width * height)
    return Sprite(
        pixels.reshape(height, width, 4),
        float(left - foot[0] / foot[2] * focal),
        float(top - foot[1] / foot[2] * focal),
        float(focal / foot[2]),
    )


def shadow(
    points: Floats, *, at: tuple[float, float], lens: Lens, towards_sun: tuple[float, float, float], scale: float
) -> Sprite | None:
    """Draw where a cloud keeps the sun from the ground; cover only, at ``scale`` of the picture's pixels."""
    sx, sy, sz = towards_sun
    if sz < 0.15:
        return None
    some = points[:, ::5]
    ground = np.stack(
        [
            some[0] - some[2] * (sx / sz) + at[0],
            some[1] - some[2] * (sy / sz) + at[1],
            np.full(some.shape[1], -lens.above, np.float32),
        ]
    )
    seen = lens.axes() @ ground
    seen = seen[:, seen[2] > 0.8]
    if seen.shape[1] < 8:
        return None
    focal = lens.focal * scale
    column, row, depth = lens.pixel(at[0], at[1])
    u, v = seen[0] / seen[2] * focal, seen[1] / seen[2] * focal
    left, top = np.floor(u.min()) - 2, np.floor(v.min()) - 2
    iu, iv = (u - left).astype(np.int32), (v - top).astype(np.int32)
    width, height = int(iu.max()) + 4, int(iv.max()) + 4
    if width * height > 1_500_000:
        return None
    cover = np.zeros((height, width), np.uint8)
    for dv, du in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cover[iv + dv, iu + du] = 255
    return Sprite(
        cover[:, :, None],
        float(left - (column - lens.width / 2) * scale),
        float(top - (row - lens.height / 2) * scale),
        focal / depth,
    )
