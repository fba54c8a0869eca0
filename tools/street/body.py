"""A person's surface, limb by limb, and how it stands or walks.

Knows:  proportions of bodies from child to old age; a gait; materials.
Never:  where the person is or what the camera is.
Leaves: points, normals, colours in body axes (x right, y ahead, z up, feet at z = 0).
Clauses: none.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tools.street.look import Colour, Look
from tools.street.shapes import Cloud, about_x, about_y, about_z, egg, joined, tube
from tools.street.splat import Surface, paint_of

Floats = npt.NDArray[np.float32]
Part = tuple[Floats, Floats, Floats]
Pose = dict[str, tuple[Floats, Floats]]
"""Bone name -> rotation (3, 3) and joint position (3,) in body axes."""


class Bones:
    """Lengths and widths of one look, metres."""

    def __init__(self, look: Look) -> None:
        small = float(np.interp(look.years, [3, 17], [1, 0]))
        h = look.stature
        female = look.sex == "female" and look.years > 12
        self.h = h
        self.hip = h * (0.52 - 0.06 * small)
        self.thigh = self.hip * 0.49
        self.shin = self.hip - self.thigh - h * 0.035
        self.head = h * (0.066 + 0.032 * small)
        self.trunk = h - 2 * self.head * 1.0 - self.hip - h * 0.025
        self.upper = self.trunk * 0.60
        self.fore = self.trunk * 0.52
        w = h / 1.75 * look.girth * (1 + 0.12 * small)
        self.w = w
        self.shoulder = (0.178 if female else 0.205) * w
        self.waist = (0.135 if female else 0.152) * w
        self.hips = (0.178 if female else 0.165) * w
        self.chest_deep = (0.125 if female else 0.118) * w
        self.belly_deep = 0.105 * w * (1 + max(0.0, look.girth - 1) * 1.2)


def _paint(cloud: Cloud, colour: Colour | Callable[[Floats], Floats]) -> Part:
    points, normals = cloud
    if callable(colour):
        return points, normals, colour(points)
    return points, normals, np.broadcast_to(np.array(colour, np.float32), points.shape).copy()


def _choose(where: npt.NDArray[np.bool_], yes: Colour, no: Floats) -> Floats:
    return np.where(where[:, None], np.array(yes, np.float32), no).astype(np.float32)


def _flat(points: Floats, colour: Colour) -> Floats:
    return np.broadcast_to(np.array(colour, np.float32), points.shape)


class Body:
    """The painted surface of one look at one sampling density (points a metre)."""

    def __init__(self, look: Look, density: float, tint: Colour = (1, 1, 1)) -> None:
        self.look = look
        self.bones = Bones(look)
        self._d = density
        self.parts: dict[str, Part] = {}
        self._trunk()
        self._head()
        self._limbs()
        self._weave()
        self._ends = np.cumsum([len(p[0]) for p in self.parts.values()]).tolist()
        self._paint = paint_of(np.concatenate([p[2] for p in self.parts.values()]), tint)

    def _weave(self) -> None:
        """Give cloth and skin a little unevenness, so that no surface is a flat patch."""
        rng = np.random.default_rng(self.look.texture_seed)
        for name, (points, normals, colours) in self.parts.items():
            a, b, c = rng.uniform(12, 34, 3)
            fold = np.sin(points[:, 2] * a + 3 * np.sin(points[:, 0] * b)) * np.sin(points[:, 1] * c + points[:, 2] * 9)
            grain = rng.normal(0, 0.018, len(points)) + 0.07 * fold
            shaded = colours * (1 + grain[:, None])
            self.parts[name] = (points, normals, np.clip(shaded, 0.01, 1).astype(np.float32))

    def _top_colour(self, points: Floats) -> Floats:
        look, trunk = self.look, self.bones.trunk
        colour = _flat(points, look.top)
        if look.top_style == "jacket":
            wedge = 0.15 + 0.25 * points[:, 2] / trunk
            front = (points[:, 1] > 0) & (np.abs(points[:, 0]) < self.bones.shoulder * wedge)
            return _choose(front, look.top_second, colour)
        if look.top_style == "stripes":
            return _choose(np.sin(points[:, 2] * 95) > 0.25, look.top_second, colour)
        if look.top_style == "block":
            return _choose(points[:, 2] > trunk * 0.62, look.top_second, colour)
        if look.top_style == "print":
            front = (np.abs(points[:, 0]) < 0.09) & (np.abs(points[:, 2] - trunk * 0.68) < 0.08)
            return _choose(front & (np.abs(points[:, 1]) > 0.05), look.top_second, colour)
        return colour

    def _trunk(self) -> None:
        b, d, look = self.bones, self._d, self.look
        wide = [
            b.hips * 0.93,
            b.hips * 0.92,
            b.waist,
            b.waist * 1.06,
            b.shoulder * 0.92,
            b.shoulder * 0.95,
            b.shoulder * 0.72,
            0.062 * b.w,
        ]
        deep = [
            b.belly_deep,
            b.belly_deep,
            b.belly_deep,
            b.belly_deep * 1.04,
            b.chest_deep,
            b.chest_deep * 0.95,
            b.chest_deep * 0.72,
            0.055 * b.w,
        ]
        loose = 1.07 if look.top_style == "jacket" else 1.02
        cloud = tube(b.trunk, [v * loose for v in wide], [v * loose for v in deep], d, up=True)
        if look.sex == "female" and look.years > 14:
            for side in (-1, 1):
                cloud = joined(
                    cloud,
                    egg(
                        (0.068 * b.w, 0.06 * b.w, 0.07 * b.w),
                        d,
                        (side * 0.075 * b.w, b.chest_deep * 0.78, b.trunk * 0.66),
                    ),
                )
        part = _paint(cloud, self._top_colour)
        neck = _paint(tube(b.head * 0.9, [0.052 * b.w] * 2, [0.054 * b.w] * 2, d, up=True), look.skin)
        neck[0][:, 2] += b.trunk * 0.97
        self.parts["chest"] = tuple(np.concatenate(pair) for pair in zip(part, neck, strict=True))
        pelvis = egg((b.hips, b.belly_deep * 1.12, 0.12 * b.w), d, (0, -0.01, -0.01))
        dress = look.top if look.bottom_style == "coat" else look.bottom
        self.parts["pelvis"] = _paint(pelvis, dress)
        if look.bottom_style in ("skirt", "long skirt", "coat"):
            length = self.bones.hip * {"skirt": 0.5, "long skirt": 0.82, "coat": 0.55}[look.bottom_style]
            flare = 1.25 if look.bottom_style == "coat" else 1.55
            hem = tube(
                length,
                [b.hips * 0.98, b.hips * (0.98 + flare) / 2, b.hips * flare * 0.92],
                [b.belly_deep * 1.1, b.belly_deep * 1.5, b.belly_deep * 1.95],
                d,
            )
            self.parts["skirt"] = _paint(hem, dress)
        self._bag()

    def _bag(self) -> None:
        b, d, look = self.bones, self._d, self.look
        if look.bag == "back":
            cloud = egg((0.15 * b.w, 0.09 * b.w, 0.22 * b.w), d, (0, -b.chest_deep - 0.05, b.trunk * 0.58))
        elif look.bag == "shoulder":
            cloud = egg((0.06, 0.13, 0.12), d, (b.hips * 1.25, -0.02, 0.02))
        elif look.bag == "hand":
            cloud = egg((0.05, 0.16, 0.13), d, (b.hips * 1.5, 0.03, -b.hip * 0.25))
        else:
            return
        self.parts["bag"] = _paint(cloud, look.bag_colour)

    def _face(self, points: Floats) -> Floats:
        look, r = self.look, self.bones.head
        x, y, z = points[:, 0] / r, points[:, 1] / r, points[:, 2] / r
        colour = _flat(points, look.skin) * (0.94 + 0.06 * np.clip(y, -1, 1))[:, None]
        skin = np.array(look.skin)
        front = y > 0.2
        eyes = front & (np.abs(np.abs(x) - 0.32) < 0.14) & (np.abs(z - 0.1) < 0.06)
        brows = front & (np.abs(np.abs(x) - 0.32) < 0.2) & (np.abs(z - 0.27) < 0.05)
        lips = front & (np.abs(x) < 0.24) & (np.abs(z + 0.48) < 0.055)
        cheeks = front & (np.abs(np.abs(x) - 0.4) < 0.2) & (np.abs(z + 0.12) < 0.15)
        red = skin * np.array([0.85, 0.5, 0.5]) if look.sex == "male" else np.array([0.75, 0.3, 0.32])
        colour = _choose(cheeks, tuple(skin * np.array([1, 0.92, 0.9])), np.asarray(colour, np.float32))
        if look.years > 16 and look.sex == "male" and look.texture_seed % 5 == 0:
            colour = _choose(front & (z < -0.32), tuple(skin * 0.45), colour)
        colour = _choose(lips, tuple(red), colour)
        colour = _choose(brows, tuple(np.array(look.hair) * 0.7), colour)
        colour = _choose(eyes, (0.07, 0.06, 0.06), colour)
        if look.glasses:
            rim = front & (np.abs(np.abs(x) - 0.34) < 0.25) & (np.abs(z - 0.1) < 0.17) & ~eyes
            colour = _choose(rim, (0.12, 0.12, 0.13), colour)
        if look.mask == "worn":
            cover = (y > 0.12 + 0.2 * np.abs(x)) & (z < -0.04) & (z > -0.93)
            colour = _choose(cover, look.mask_colour, colour)
        return colour

    def _head(self) -> None:
        b, d, look = self.bones, self._d * 1.25, self.look
        r = b.head
        skull = joined(
            egg((0.70 * r, 0.88 * r, 1.0 * r), d), egg((0.52 * r, 0.55 * r, 0.5 * r), d, (0, 0.22 * r, -0.5 * r))
        )
        nose = egg((0.12 * r, 0.17 * r, 0.2 * r), d, (0, 0.9 * r, -0.12 * r))
        pieces = [_paint(joined(skull, nose), self._face)]
        ear = (0.09 * r, 0.14 * r, 0.22 * r)
        pieces += [_paint(egg(ear, d, (side * 0.71 * r, -0.05 * r, 0)), look.skin) for side in (-1, 1)]
        pieces += self._hair(r, d)
        self.parts["head"] = (
            np.concatenate([p[0] for p in pieces]),
            np.concatenate([p[1] for p in pieces]),
            np.concatenate([p[2] for p in pieces]),
        )

    def _hair(self, r: float, d: float) -> list[Part]:
        look, out = self.look, []
        points, normals = egg((0.80 * r, 0.98 * r, 1.08 * r), d, (0, -0.05 * r, 0.03 * r))
        x, y, z = points[:, 0] / r, points[:, 1] / r, points[:, 2] / r
        low = {"long": -1.0, "bob": -0.75, "tail": -0.35, "bun": -0.35, "short": -0.3, "bald": 9.0}[look.hair_style]
        side = 0.12 if look.hair_style in ("long", "bob") else -0.1
        keep = ((y < side) & (z > low)) | ((z > 0.48 + 0.12 * np.sin(7 * x)) & (look.hair_style != "bald"))
        if look.hair_style == "bald" and look.years > 40:
            keep = (y < 0) & (z > -0.4) & (z < 0.25)
        if keep.any():
            out.append(_paint((points[keep], normals[keep]), look.hair))
        if look.hair_style == "long":
            fall = tube(2.0 * r, [0.7 * r, 0.75 * r, 0.6 * r], [0.3 * r, 0.32 * r, 0.22 * r], d)
            out.append(_paint((fall[0] + np.array([0, -0.62 * r, 0.1 * r], np.float32), fall[1]), look.hair))
        if look.hair_style == "bun":
            out.append(_paint(egg((0.34 * r, 0.34 * r, 0.34 * r), d, (0, -0.95 * r, 0.6 * r)), look.hair))
        if look.hair_style == "tail":
            out.append(_paint(egg((0.2 * r, 0.25 * r, 0.8 * r), d, (0, -1.15 * r, -0.35 * r)), look.hair))
        return out + self._hat(r, d)

    def _hat(self, r: float, d: float) -> list[Part]:
        look = self.look
        if look.hat == "none":
            return []
        points, normals = egg((0.88 * r, 1.04 * r, 1.05 * r), d, (0, -0.02 * r, 0.12 * r))
        crown = points[:, 2] > (0.15 if look.hat == "beanie" else 0.3) * r
        out = [_paint((points[crown], normals[crown]), look.hat_colour)]
        if look.hat == "cap":
            out.append(_paint(egg((0.6 * r, 0.6 * r, 0.06 * r), d, (0, 0.95 * r, 0.4 * r)), look.hat_colour))
        if look.hat == "brim":
            out.append(_paint(egg((1.5 * r, 1.6 * r, 0.07 * r), d, (0, 0, 0.4 * r)), look.hat_colour))
        return out

    def _limbs(self) -> None:
        b, d, look = self.bones, self._d, self.look
        w = b.w
        bare = {"shorts": 0.75, "skirt": 0.0}.get(look.bottom_style)
        loose = 1.0 if bare is not None else 1.14
        under = look.bottom if look.bottom_style != "coat" else look.top_second
        tights = look.skin if look.texture_seed % 3 else (0.08, 0.08, 0.09)

        def thigh(points: Floats) -> Floats:
            colour = _flat(points, under)
            return colour if bare is None else _choose(-points[:, 2] > b.thigh * bare, tights, colour)

        shin = tights if bare is not None or look.bottom_style == "long skirt" else under
        sleeve = look.top if look.top_style != "block" else look.top_second
        for side, sign in (("left", -1), ("right", 1)):
            self.parts[f"{side} thigh"] = _paint(
                joined(
                    tube(
                        b.thigh,
                        [0.086 * w, 0.082 * w, 0.068 * w, 0.058 * w * loose],
                        [0.092 * w, 0.088 * w, 0.070 * w, 0.060 * w * loose],
                        d,
                    ),
                    egg((0.058 * w * loose,) * 3, d, (0, 0, -b.thigh)),
                ),
                thigh,
            )
            self.parts[f"{side} shin"] = _paint(
                tube(
                    b.shin,
                    [0.057 * w * loose, 0.060 * w * loose, 0.046 * w * loose, 0.038 * w * loose**2],
                    [0.058 * w * loose, 0.064 * w * loose, 0.048 * w * loose, 0.040 * w * loose**2],
                    d,
                ),
                shin,
            )
            foot = joined(
                egg((0.046 * w, 0.135 * b.h / 1.75, 0.042 * w), d, (sign * 0.01, 0.065 * b.h / 1.75, 0.0)),
                egg((0.044 * w, 0.06 * w, 0.05 * w), d, (0, -0.01, 0.015)),
            )
            self.parts[f"{side} foot"] = _paint(foot, look.shoes)
            arm = joined(
                tube(b.upper, [0.058 * w, 0.052 * w, 0.046 * w], [0.062 * w, 0.054 * w, 0.046 * w], d),
                egg((0.060 * w, 0.062 * w, 0.058 * w), d),
                egg((0.045 * w,) * 3, d, (0, 0, -b.upper)),
            )
            cut = b.upper * 0.6 if look.sleeves == "short" else 9.0
            below = -arm[0][:, 2] > cut
            self.parts[f"{side} upper"] = (*arm, _choose(below, look.skin, _flat(arm[0], sleeve)))
            self.parts[f"{side} fore"] = _paint(
                tube(b.fore, [0.045 * w, 0.043 * w, 0.032 * w], [0.045 * w, 0.043 * w, 0.030 * w], d),
                look.skin if look.sleeves == "short" else sleeve,
            )
            self.parts[f"{side} hand"] = _paint(egg((0.022 * w, 0.042 * w, 0.08 * w), d, (0, 0, -0.07 * w)), look.skin)

    def surface(self, pose: Pose, heading: float) -> Surface:
        """Return the posed body turned by ``heading`` radians; the lowest foot stands on z = 0."""
        turn = about_z(heading)
        points = np.empty((3, self._ends[-1]), np.float32)
        normals = np.empty_like(points)
        start = 0
        for (name, (p, n, _)), end in zip(self.parts.items(), self._ends, strict=True):
            matrix, joint = pose[{"bag": "chest", "skirt": "pelvis"}.get(name, name)]
            whole = turn @ matrix
            points[:, start:end] = whole @ p.T + (turn @ joint)[:, None]
            normals[:, start:end] = whole @ n.T
            start = end
        return Surface(points, normals, self._paint)


def _leg(pose: Pose, b: Bones, side: str, sign: int, thigh: float, knee: float, hip: Floats) -> float:
    upper, lower = about_x(thigh), about_x(thigh - knee)
    joint = hip + np.array([sign * b.hips * 0.52, 0, -0.02], np.float32)
    knee_at = joint + upper @ np.array([0, 0, -b.thigh], np.float32)
    ankle = knee_at + lower @ np.array([0, 0, -b.shin], np.float32)
    pose[f"{side} thigh"], pose[f"{side} shin"] = (upper, joint), (lower, knee_at)
    pose[f"{side} foot"] = (about_x(0.35 * (thigh - knee)), ankle)
    return float(ankle[2])


def _arm(pose: Pose, b: Bones, side: str, sign: int, swing: float, elbow: float, chest: Floats, base: Floats) -> None:
    upper: Floats = (about_y(-sign * 0.13) @ about_x(swing)).astype(np.float32)
    lower: Floats = (upper @ about_x(elbow)).astype(np.float32)
    joint = base + chest @ np.array([sign * b.shoulder * 0.90, 0, b.trunk * 0.79], np.float32)
    elbow_at = joint + upper @ np.array([0, 0, -b.upper], np.float32)
    wrist = elbow_at + lower @ np.array([0, 0, -b.fore], np.float32)
    pose[f"{side} upper"], pose[f"{side} fore"] = (upper, joint), (lower, elbow_at)
    pose[f"{side} hand"] = (lower, wrist)


def pose_of(look: Look, phase: float | None, *, holding: bool = False, riding: bool = False) -> Pose:
    """Return the bones at ``phase`` (radians of one double step; None stands still).

    ``holding`` bends the right arm upwards (an umbrella, a telephone); ``riding`` sits on a bicycle.
    """
    b = Bones(look)
    swing = 0.44 * look.stride * (math.sin(phase) if phase is not None else 0.03)
    hip = np.array([0, 0, b.hip + (0.12 * b.h if riding else 0.0)], np.float32)
    lean = look.stoop + (0.35 if riding else 0.03 if phase is not None else 0.0)
    chest = about_z(-0.12 * swing) @ about_x(-lean)
    pose: Pose = {"pelvis": (about_z(0.15 * swing), hip), "chest": (chest, hip)}
    neck = hip + chest @ np.array([0, 0, b.trunk + b.head * 0.86], np.float32)
    pose["head"] = (about_x(-look.stoop * 0.4 + (0.1 if riding else 0)), neck)
    lowest = math.inf
    for side, sign, offset in (("left", -1, 0.0), ("right", 1, math.pi)):
        if riding:
            turn = (phase or 0.0) + offset
            thigh, knee = 0.95 + 0.38 * math.sin(turn), 1.25 + 0.5 * math.sin(turn + 0.6)
        elif phase is None:
            thigh, knee = 0.03 * sign, 0.06
        else:
            thigh = 0.44 * look.stride * math.sin(phase + offset)
            knee = 0.10 + 0.95 * look.stride * max(0.0, math.cos(phase + offset + 0.45)) ** 2
        lowest = min(lowest, _leg(pose, b, side, sign, thigh, knee, hip))
        arm = 0.95 if riding else -(swing if sign < 0 else -swing) * 0.95
        elbow = 0.35 if riding else 0.28
        if holding and sign > 0:
            arm, elbow = 0.35, 1.9
        _arm(pose, b, side, sign, arm, elbow, chest, hip)
    drop = 0.0 if riding else lowest - 0.042 * b.w
    for name, (matrix, joint) in pose.items():
        pose[name] = (matrix, joint - np.array([0, 0, drop], np.float32))
    return pose
