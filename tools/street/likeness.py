"""What looks like somebody and is nobody: statues, life-size posters, mirror images.

Knows:  bodies and how they are painted.
Never:  anybody: nothing here is in the truth.
Leaves: surfaces, and stamps turned upside down and faint.
Clauses: none; what 6.2(2) must not be opened by.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from tools.street.body import Body, pose_of
from tools.street.canvas import Stamp
from tools.street.look import Colour, draw_look
from tools.street.shapes import about_z, box
from tools.street.splat import Surface, paint_of
from tools.street.things import surface_of

STONES: tuple[Colour, ...] = ((0.62, 0.6, 0.55), (0.45, 0.45, 0.46), (0.26, 0.22, 0.16), (0.3, 0.38, 0.33))
"""Limestone, granite, bronze, bronze grown green."""

PLINTH_METRES = 0.45
PANEL = (0.95, 0.05, 2.0)
"""Width, depth and height of a poster's panel, metres."""

MIRRORED = 0.28
"""How much of a thing wet ground gives back."""


def together(*surfaces: Surface) -> Surface:
    """Join surfaces into one."""
    return Surface(*(np.concatenate([getattr(s, part) for s in surfaces], axis=1)
                     for part in ("points", "normals", "paint")))  # fmt: skip


def raised(surface: Surface, metres: float) -> Surface:
    """Lift a surface off the ground."""
    return replace(surface, points=surface.points + np.array([[0], [0], [metres]], np.float32))


def statue(rng: np.random.Generator, density: float, heading: float, tint: Colour) -> Surface:
    """Return a person of stone or bronze on a plinth."""
    look = draw_look(rng, 0.0)
    body = Body(look, density, tint).surface(pose_of(look, None, holding=bool(rng.random() < 0.3)), heading)
    stone = STONES[int(rng.integers(len(STONES)))]
    plain = paint_of(np.array([stone], np.float32), tint)
    folds = 0.8 + 0.4 * body.paint[:1]
    carved = replace(body, paint=np.ascontiguousarray(plain * folds))
    plinth = surface_of([(box((0.7, 0.7, PLINTH_METRES), density, (0, 0, PLINTH_METRES / 2)), stone)], heading, tint)
    return together(raised(carved, PLINTH_METRES), plinth)


def poster(rng: np.random.Generator, density: float, heading: float, tint: Colour) -> Surface:
    """Return a life-size person printed on a panel, facing ``heading``; half are cut out and have no panel."""
    look = draw_look(rng, 0.1)
    whole = Body(look, density * 1.3, tint).surface(pose_of(look, None), 0.0)
    front = np.flatnonzero(whole.normals[1] > 0)
    points = whole.points[:, front] * np.array([[1], [0.02], [1]], np.float32)
    points *= np.float32(min(1.0, (PANEL[2] - 0.1) / look.stature))
    normals = np.zeros_like(points)
    normals[1] = 1
    print_ = raised(Surface(points, normals, np.ascontiguousarray(whole.paint[:, front])), 0.12)
    parts = [print_]
    if rng.random() < 0.5:
        colour = tuple(float(c) for c in rng.uniform(0.3, 0.95, 3))
        panel = box(PANEL, density, (0, -0.06, PANEL[2] / 2 + 0.08))
        parts.append(surface_of([(panel, (colour[0], colour[1], colour[2]))], 0.0, tint))
    flat, turn = together(*parts), about_z(heading)
    return replace(
        flat, points=np.ascontiguousarray(turn @ flat.points), normals=np.ascontiguousarray(turn @ flat.normals)
    )


def facing_pole(x: float, y: float, rng: np.random.Generator) -> float:
    """Return a heading (radians) from ground point ``x``, ``y`` towards the pole, give or take 40 degrees."""
    return math.atan2(x, -y) + float(rng.uniform(-0.7, 0.7))


def mirror_image(stamp: Stamp) -> Stamp:
    """Return a stamp as wet ground gives it back: upside down below its foot, faint. It hides nothing."""
    faint = stamp.picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).point(lambda value: int(value * MIRRORED))
    height = stamp.picture.height
    left, top, right, bottom = stamp.outline
    return replace(
        stamp, picture=faint, top=-(stamp.top + height), outline=(left, height - bottom, right, height - top)
    )
