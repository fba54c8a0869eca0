"""What stands and moves on a street and is nobody: umbrellas, bicycles, dogs, cars, posts, trees.

Knows:  rough shapes and colours.
Never:  anything that counts.
Leaves: :class:`Surface` clouds, feet at z = 0, ahead along +y.
Clauses: none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tools.street.look import Colour
from tools.street.shapes import Cloud, about_x, about_y, about_z, box, egg, hoop, joined, tube, turned
from tools.street.splat import Surface, paint_of


def surface_of(pieces: Sequence[tuple[Cloud, Colour]], heading: float, tint: Colour) -> Surface:
    """Join painted clouds into one surface turned by ``heading`` radians."""
    turn = about_z(heading)
    points, normals = joined(*(cloud for cloud, _ in pieces))
    rgb = np.concatenate([np.tile(np.array(colour, np.float32), (len(cloud[0]), 1)) for cloud, colour in pieces])
    grain = 1 + 0.05 * np.sin(points[:, :1] * 23 + points[:, 2:] * 31)
    paint = paint_of(np.clip(rgb * grain, 0, 1).astype(np.float32), tint)
    return Surface(np.ascontiguousarray(turn @ points.T), np.ascontiguousarray(turn @ normals.T), paint)


def umbrella(stature: float, colour: Colour, density: float) -> list[tuple[Cloud, Colour]]:
    """Return an open umbrella held over a person ``stature`` metres tall."""
    points, normals = egg((0.52, 0.52, 0.26), density, (0.1, 0.05, stature + 0.02))
    dome = points[:, 2] > stature + 0.04
    inside = (points[dome], -normals[dome])
    stick = tube(0.75, [0.012] * 2, [0.012] * 2, density * 1.5)
    dark = (colour[0] * 0.45, colour[1] * 0.45, colour[2] * 0.45)
    return [
        ((points[dome], normals[dome]), colour),
        (inside, dark),
        (turned(stick, about_x(0), (0.15, 0.05, stature + 0.2)), (0.3, 0.3, 0.3)),
    ]


def bicycle(colour: Colour, density: float) -> list[tuple[Cloud, Colour]]:
    """Return a town bicycle without its rider."""
    d = density * 1.5
    tyre = joined(hoop(0.33, 0.022, d, (0, -0.52, 0.34)), hoop(0.33, 0.022, d, (0, 0.55, 0.34)))
    bars = []
    for (y0, z0), (y1, z1) in (
        ((-0.52, 0.34), (-0.1, 0.3)),
        ((-0.1, 0.3), (-0.22, 0.82)),
        ((-0.1, 0.3), (0.42, 0.75)),
        ((0.42, 0.95), (0.55, 0.34)),
        ((-0.2, 0.62), (0.42, 0.7)),
    ):
        length = math.hypot(y1 - y0, z1 - z0)
        bars.append(
            turned(tube(length, [0.02] * 2, [0.02] * 2, d), about_x(math.atan2(y1 - y0, -(z1 - z0))), (0, y0, z0))
        )
    handle = turned(tube(0.55, [0.015] * 2, [0.015] * 2, d), about_y(math.pi / 2), (0.27, 0.42, 0.98))
    basket = box((0.34, 0.24, 0.22), density, (0, 0.68, 0.85))
    return [(tyre, (0.08, 0.08, 0.08)), (joined(*bars), colour), (handle, (0.2, 0.2, 0.2)), (basket, (0.35, 0.33, 0.3))]


def dog(size: float, colour: Colour, density: float) -> list[tuple[Cloud, Colour]]:
    """Return a dog, ``size`` metres at the shoulder."""
    s = size
    clouds = [
        egg((0.22 * s, 0.62 * s, 0.26 * s), density, (0, 0, 0.78 * s)),
        egg((0.16 * s, 0.22 * s, 0.18 * s), density, (0, 0.75 * s, 1.08 * s)),
        egg((0.08 * s, 0.14 * s, 0.08 * s), density, (0, 0.95 * s, 1.02 * s)),
        egg((0.04 * s, 0.28 * s, 0.05 * s), density, (0, -0.8 * s, 0.98 * s)),
    ]
    leg = turned(tube(0.7 * s, [0.07 * s, 0.045 * s], [0.07 * s, 0.045 * s], density), about_x(0.1))
    places = [(x * s, y * s, 0.7 * s) for x in (-0.13, 0.13) for y in (-0.4, 0.42)]
    clouds += [(leg[0] + np.array(at, np.float32), leg[1]) for at in places]
    return [(joined(*clouds), colour)]


def car(colour: Colour, density: float) -> list[tuple[Cloud, Colour]]:
    """Return a small saloon, 4.2 m long."""
    hull = joined(box((1.66, 4.1, 0.5), density, (0, 0, 0.55)), egg((0.84, 2.1, 0.36), density, (0, 0, 0.68)))
    cabin = egg((0.72, 1.25, 0.62), density, (0, -0.25, 0.92))
    keep = cabin[0][:, 2] > 0.86
    roof = cabin[0][:, 2] > 1.38
    glass = keep & ~roof
    wheels = [egg((0.11, 0.31, 0.31), density, (side * 0.74, y, 0.31)) for side in (-1, 1) for y in (-1.3, 1.3)]
    lamps = joined(*(egg((0.14, 0.06, 0.08), density, (x, 2.06, 0.66)) for x in (-0.6, 0.6)))
    tail = joined(*(egg((0.14, 0.06, 0.08), density, (x, -2.06, 0.7)) for x in (-0.6, 0.6)))
    return [
        (hull, colour),
        ((cabin[0][glass], cabin[1][glass]), (0.13, 0.15, 0.17)),
        ((cabin[0][roof], cabin[1][roof]), colour),
        (joined(*wheels), (0.07, 0.07, 0.07)),
        (lamps, (0.95, 0.95, 0.88)),
        (tail, (0.7, 0.08, 0.08)),
    ]


def post(rng: np.random.Generator, density: float) -> list[tuple[Cloud, Colour]]:
    """Return a sign post, a bollard, a bin or a drinks machine."""
    kind = str(rng.choice(["sign", "bollard", "bin", "machine", "lamp"]))
    grey = float(rng.uniform(0.25, 0.7))
    if kind == "bollard":
        concrete = (grey, grey * 0.95, grey * 0.85)
        band = tube(0.1, [0.085] * 2, [0.085] * 2, density, up=True)
        return [
            (tube(0.85, [0.08] * 3, [0.08] * 3, density, up=True), concrete),
            (egg((0.08, 0.08, 0.03), density, (0, 0, 0.85)), concrete),
            ((band[0] + np.array([0, 0, 0.66], np.float32), band[1]), (0.8, 0.72, 0.2)),
        ]
    if kind == "bin":
        return [
            (tube(0.85, [0.26, 0.3, 0.3], [0.26, 0.3, 0.3], density, up=True), (0.2, 0.34, 0.26)),
            (egg((0.31, 0.31, 0.08), density, (0, 0, 0.86)), (0.12, 0.14, 0.13)),
        ]
    if kind == "machine":
        return [
            (box((1.0, 0.7, 1.8), density, (0, 0, 0.9)), (0.8, 0.82, 0.85)),
            (box((0.8, 0.02, 0.9), density, (0, -0.37, 1.2)), (0.2, 0.3, 0.55)),
        ]
    pole = tube(3.4, [0.06, 0.05], [0.06, 0.05], density * 1.2, up=True)
    if kind == "lamp":
        return [(pole, (grey,) * 3)]
    plate = turned(tube(0.03, [0.3, 0.3], [0.3, 0.3], density), about_x(math.pi / 2), (0, -0.06, 2.4))
    return [(pole, (grey,) * 3), (plate, (0.15, 0.3, 0.7) if rng.random() < 0.5 else (0.75, 0.15, 0.15))]


def tree(rng: np.random.Generator, density: float) -> list[tuple[Cloud, Colour]]:
    """Return a street tree with a loose crown, in its square of earth."""
    tall = float(rng.uniform(2.0, 2.7))
    pieces: list[tuple[Cloud, Colour]] = [
        (tube(tall + 0.6, [0.14, 0.1, 0.09, 0.05], [0.14, 0.1, 0.09, 0.05], density, up=True), (0.30, 0.24, 0.18)),
        (box((1.1, 1.1, 0.04), density, (0, 0, 0.02)), (0.25, 0.2, 0.15)),
    ]
    for _ in range(34):
        angle, out, up = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 1.0), rng.uniform(0, 1.5)
        r = float(rng.uniform(0.16, 0.32))
        green = float(rng.uniform(0.22, 0.45))
        colour = (green * float(rng.uniform(0.5, 0.9)), green, green * 0.35)
        pieces.append(
            (egg((r, r, r * 0.7), density * 0.8, (out * math.cos(angle), out * math.sin(angle), tall + up)), colour)
        )
    return pieces
