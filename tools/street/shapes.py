"""Surfaces as clouds of points.

Knows:  tubes with a changing oval section, eggs, boxes, hoops; how densely to sample them.
Never:  what they are part of.
Leaves: (points, normals) in metres, float32 (N, 3) each.
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Cloud = tuple[Floats, Floats]
"""Points and unit normals, (N, 3) float32 each."""


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True)) + 1e-9
    return np.asarray(vectors / length, np.float32)


def tube(length: float, wide: Sequence[float], deep: Sequence[float], density: float, *, up: bool = False) -> Cloud:
    """Sample a tube from the origin along -z (or +z if ``up``).

    ``wide`` (along x) and ``deep`` (along y) are half axes at evenly spaced stations; ends are closed by
    letting the last five hundredths shrink. ``density`` is points a metre.
    """
    girth = 2 * np.pi * max(*wide, *deep)
    rows = max(3, int(length * density) + 1)
    around = max(6, int(girth * density) + 1)
    t = np.linspace(0, 1, rows, dtype=np.float32)
    stations = np.linspace(0, 1, len(wide))
    a = np.interp(t, stations, wide).astype(np.float32)
    b = np.interp(t, stations, deep).astype(np.float32)
    slope = np.gradient((a + b) / 2, max(length, 1e-3) / (rows - 1)).astype(np.float32)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False, dtype=np.float32)
    cos, sin = np.cos(angle)[None], np.sin(angle)[None]
    sign = 1.0 if up else -1.0
    x, y = a[:, None] * cos, b[:, None] * sin
    z = np.repeat((sign * t * length)[:, None], around, axis=1)
    nx, ny = cos * b[:, None], sin * a[:, None]
    norm = np.sqrt(nx * nx + ny * ny) + 1e-6
    nz = -sign * np.repeat(slope[:, None], around, axis=1)
    points = np.stack([x, y, z], axis=2).reshape(-1, 3).astype(np.float32)
    normals = np.stack([nx / norm, ny / norm, nz], axis=2).reshape(-1, 3).astype(np.float32)
    return points, _unit(normals)


def egg(half: tuple[float, float, float], density: float, centre: tuple[float, float, float] = (0, 0, 0)) -> Cloud:
    """Sample an ellipsoid with half axes x, y, z (Fibonacci sphere, evenly enough)."""
    a, b, c = half
    area = 4 * np.pi * (((a * b) ** 1.6 + (a * c) ** 1.6 + (b * c) ** 1.6) / 3) ** (1 / 1.6)
    count = max(12, int(area * density * density * 1.15))
    k = np.arange(count, dtype=np.float32) + 0.5
    z = 1 - 2 * k / count
    ring = np.sqrt(1 - z * z)
    angle = k * 2.3999632
    sphere = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1).astype(np.float32)
    points = sphere * np.array(half, np.float32) + np.array(centre, np.float32)
    normals = sphere / np.array(half, np.float32)
    return points.astype(np.float32), _unit(normals.astype(np.float32))


def box(size: tuple[float, float, float], density: float, centre: tuple[float, float, float] = (0, 0, 0)) -> Cloud:
    """Sample the six faces of a box with edge lengths x, y, z."""
    points, normals = [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        nu = max(2, int(size[u] * density) + 1)
        nv = max(2, int(size[v] * density) + 1)
        gu, gv = np.meshgrid(np.linspace(-0.5, 0.5, nu) * size[u], np.linspace(-0.5, 0.5, nv) * size[v])
        for side in (-1.0, 1.0):
            face = np.zeros((gu.size, 3), np.float32)
            face[:, u], face[:, v], face[:, axis] = gu.ravel(), gv.ravel(), side * size[axis] / 2
            normal = np.zeros((gu.size, 3), np.float32)
            normal[:, axis] = side
            points.append(face)
            normals.append(normal)
    return np.concatenate(points) + np.array(centre, np.float32), np.concatenate(normals)


def hoop(radius: float, thick: float, density: float, centre: tuple[float, float, float]) -> Cloud:
    """Sample a wheel's tyre standing in the y-z plane."""
    around = max(24, int(2 * np.pi * radius * density))
    tyre = max(4, int(2 * np.pi * thick * density) + 2)
    s = np.repeat(np.linspace(0, 2 * np.pi, around, endpoint=False), tyre)
    t = np.tile(np.linspace(0, 2 * np.pi, tyre, endpoint=False), around)
    normals = np.stack([np.sin(t), np.cos(t) * np.cos(s), np.cos(t) * np.sin(s)], axis=1).astype(np.float32)
    spine = np.stack([np.zeros_like(s), radius * np.cos(s), radius * np.sin(s)], axis=1)
    points = spine + thick * normals + np.array(centre)
    return points.astype(np.float32), normals


def joined(*clouds: Cloud) -> Cloud:
    """Return one cloud of several."""
    return np.concatenate([c[0] for c in clouds]), np.concatenate([c[1] for c in clouds])


def turned(cloud: Cloud, matrix: Floats, shift: Sequence[float] = (0, 0, 0)) -> Cloud:
    """Return a cloud rotated by ``matrix`` (3, 3) and moved."""
    return (
        np.asarray(cloud[0] @ matrix.T + np.array(shift, np.float32), np.float32),
        np.asarray(cloud[1] @ matrix.T, np.float32),
    )


def about_x(angle: float) -> Floats:
    """Rotation about x (radians): a hanging limb swings forward (+y) for positive angles."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)


def about_y(angle: float) -> Floats:
    """Rotation about y (radians): a hanging limb swings to -x for positive angles."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def about_z(angle: float) -> Floats:
    """Rotation about the vertical (radians), from +x towards +y."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
