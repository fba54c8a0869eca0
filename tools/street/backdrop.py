"""The street itself, empty: pavement, kerb, road, shopfronts, sky, light on the ground.

Knows:  the layout of strips across the street and what each is made of.
Never:  anything that moves.
Leaves: planes of Y (height, width), U and V (half of both), uint8 full range.
Clauses: none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from tools.street.lens import Lens
from tools.street.scene import Scene
from tools.street.splat import BRIGHTEST, DARKEST

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """Strips along the street: metres from the pole to the kerbs and to the wall; the street's direction, radians."""

    turn: float
    kerb: float
    far_kerb: float
    wall: float

    @staticmethod
    def of(scene: Scene, rng: np.random.Generator) -> Layout:
        """Lay a street out so that most of the picture is where people walk."""
        centre = scene.height / math.tan(math.radians(scene.tilt))
        kerb = float(np.clip(centre * rng.uniform(0.95, 1.3) + 0.8, 3.8, 9.0))
        road = 0.0 if scene.plaza else float(rng.uniform(4.5, 6.5))
        return Layout(math.radians(scene.turn), kerb, kerb + road, kerb + road + float(rng.uniform(2.6, 4.2)))

    def ground(self, along: float, across: float) -> tuple[float, float]:
        """World x, y of a point ``along`` the street and ``across`` from the pole."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        return along * c - across * s, along * s + across * c


def _noise(rng: np.random.Generator, size: int = 256) -> Floats:
    """Tileable cloud noise in -1..1."""
    spectrum = np.fft.rfft2(rng.normal(size=(size, size)))
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    spectrum /= (0.004 + np.sqrt(fx * fx + fy * fy)) ** 1.1
    field = np.fft.irfft2(spectrum, (size, size))
    return np.asarray(np.clip(field / (2.2 * field.std()), -1, 1), np.float32)


def _sample(noise: Floats, a: Floats, b: Floats, per_metre: float) -> Floats:
    size = noise.shape[0]
    values: Floats = noise[(b * per_metre).astype(np.int32) % size, (a * per_metre).astype(np.int32) % size]
    return values


class _Painter:
    """One backdrop in the making: per pixel street coordinates and a colour."""

    def __init__(self, scene: Scene, layout: Layout, lens: Lens, rng: np.random.Generator) -> None:
        self.scene, self.layout, self.lens, self.rng = scene, layout, lens, rng
        u = (np.arange(lens.width, dtype=np.float32) + 0.5 - lens.width / 2) / lens.focal
        v = (np.arange(lens.height, dtype=np.float32) + 0.5 - lens.height / 2) / lens.focal
        c, s = math.cos(lens.tilt_radians), math.sin(lens.tilt_radians)
        ahead = (c - v * s)[:, None] * np.ones_like(u)[None]
        rise = (-s - v * c)[:, None] * np.ones_like(u)[None]
        side = np.broadcast_to(u[None], ahead.shape)
        ct, st = math.cos(layout.turn), math.sin(layout.turn)
        across = -side * st + ahead * ct
        to_wall = np.where(across > 1e-3, layout.wall / np.maximum(across, 1e-3), 1e6)
        to_ground = np.where(rise < -1e-3, -lens.above / np.minimum(rise, -1e-3), 1e6)
        self.far = np.minimum(np.minimum(to_wall, to_ground), 150).astype(np.float32)
        self.is_wall = to_wall < to_ground
        self.along = ((side * ct + ahead * st) * self.far).astype(np.float32)
        self.across = (across * self.far).astype(np.float32)
        self.up = (lens.above + rise * self.far).astype(np.float32)
        self.rgb = np.zeros((*self.far.shape, 3), np.float32)
        self.noise = _noise(rng)
        self.fine = np.clip(1.5 - self.far * 0.09, 0.15, 1).astype(np.float32)

    def _stone(self) -> Floats:
        """Pavers: grey or warm, joints, stains, chewing gum."""
        rng = self.rng
        length, depth = [(0.3, 0.3), (0.6, 0.3), (0.2, 0.1), (0.9, 0.9), (0.4, 0.4)][int(rng.integers(5))]
        base = np.array(
            [(0.56, 0.55, 0.53), (0.60, 0.52, 0.46), (0.46, 0.46, 0.48), (0.66, 0.64, 0.6), (0.5, 0.42, 0.38)]
        )[int(rng.integers(5))] * rng.uniform(0.75, 1.12)
        row = np.floor(self.across / depth)
        a = self.along / length + 0.5 * (row % 2)
        joint = np.minimum(
            np.abs(a - np.round(a)) * length, np.abs(self.across / depth - np.round(self.across / depth)) * depth
        )
        line = np.clip(1 - joint / (0.006 + 0.0016 * self.far), 0, 1) * np.clip(1.4 - self.far * 0.08, 0, 1)
        which = np.sin(np.floor(a) * 12.9898 + row * 78.233) * 43758.5453
        tone = 1 + 0.10 * (which - np.floor(which) - 0.5) * self.fine
        stain = (
            1
            + 0.16 * _sample(self.noise, self.along, self.across, 22)
            + 0.10 * self.fine * _sample(self.noise, self.along, self.across, 160)
        )
        return np.asarray(base[None, None] * (tone * stain * (1 - 0.32 * line))[..., None], np.float32)

    def _asphalt(self) -> Floats:
        rng = self.rng
        grain = (
            1
            + 0.22 * self.fine * _sample(self.noise, self.along, self.across, 190)
            + 0.13 * _sample(self.noise, self.along, self.across, 14)
        )
        colour = np.array([0.27, 0.27, 0.28]) * rng.uniform(0.8, 1.35) * grain[..., None]
        lay = self.layout
        middle = (lay.kerb + lay.far_kerb) / 2
        dash = (np.abs(self.across - middle) < 0.07) & (np.mod(self.along, 6) < 3)
        edge = (np.abs(self.across - lay.kerb - 0.35) < 0.06) | (np.abs(self.across - lay.far_kerb + 0.35) < 0.06)
        paint = dash | edge
        if rng.random() < 0.5:
            start = rng.uniform(-7, 5)
            paint |= (self.along > start) & (self.along < start + 3.6) & (np.mod(self.across, 0.9) < 0.45)
        worn = 0.75 + 0.2 * _sample(self.noise, self.along, self.across, 60)
        white = worn[..., None] * np.array([0.86, 0.86, 0.83])
        return np.asarray(np.where(paint[..., None], white, colour), np.float32)

    def _wall(self) -> Floats:
        """Shopfronts: each a few metres wide with a window, a door, a sign, posters."""
        rng = self.rng
        colour = np.zeros_like(self.rgb)
        edges = np.cumsum(rng.uniform(3, 7, 40)) - 90
        for k, (left, right) in enumerate(pairwise(edges)):
            here = self.is_wall & (self.along >= left) & (self.along < right)
            if not here.any():
                continue
            a, z = self.along[here] - left, self.up[here]
            colour[here] = self._shop(a, z, float(right - left), k)
        return np.asarray(colour * (1 + 0.09 * _sample(self.noise, self.along, self.up, 55))[..., None], np.float32)

    def _shop(self, a: Floats, z: Floats, width: float, k: int) -> Floats:
        rng = self.rng
        base = np.clip(np.array([0.6, 0.57, 0.53]) * rng.uniform(0.5, 1.35) + rng.normal(0, 0.07, 3), 0.06, 0.92)
        out = np.tile(base, (len(a), 1)).astype(np.float32)
        if rng.random() < 0.4:
            brick = (np.mod(z, 0.12) < 0.018) | (np.mod(a + 0.12 * np.floor(z / 0.12), 0.24) < 0.018)
            out[brick] *= 0.78
        glass = (a > 0.4) & (a < width * 0.62) & (z > 0.5) & (z < 2.4)
        inside = rng.uniform(0.1, 0.55) * np.array([1.0, 0.93, 0.82])
        bands = 1 + 0.35 * np.sin(a * rng.uniform(3, 14)) * np.sin(z * rng.uniform(2, 9))
        out[glass] = (inside * bands[:, None])[glass]
        door = (a > width * 0.68) & (a < width * 0.68 + 0.95) & (z < 2.15)
        out[door] = rng.uniform(0.1, 0.5, 3) * np.array([1, 0.9, 0.8])
        sign = (z > 2.6) & (z < 3.3) & (a > 0.2) & (a < width - 0.2)
        out[sign] = rng.uniform(0.1, 0.9, 3)
        letters = sign & (z > 2.78) & (z < 3.12) & (np.sin(a * 21 + 3 * np.sin(a * 5)) > 0.2)
        out[letters] = rng.uniform(0.1, 0.95, 3)
        if k % 3 == 0:
            poster = (np.abs(a - width * 0.9) < 0.3) & (np.abs(z - 1.4) < 0.42)
            out[poster] = rng.uniform(0.2, 0.9, 3)
            out[poster & (np.hypot(a - width * 0.9, z - 1.58) < 0.12)] = (0.85, 0.68, 0.56)
            out[poster & (z < 1.44) & (np.abs(a - width * 0.9) < 0.17)] = rng.uniform(0.1, 0.8, 3)
        return out

    def albedo(self) -> Floats:
        """Paint every strip; returns (height, width, 3)."""
        lay = self.layout
        stone = self._stone()
        colour = stone
        if lay.far_kerb > lay.kerb:
            road = (self.across > lay.kerb) & (self.across < lay.far_kerb)
            colour = np.where(road[..., None], self._asphalt(), stone)
            for at in (lay.kerb, lay.far_kerb):
                near = np.abs(self.across - at) < 0.10
                colour = np.where(
                    near[..., None], 0.66 + 0.1 * _sample(self.noise, self.along, self.across, 30)[..., None], colour
                )
        if self.rng.random() < 0.5:
            strip = np.abs(self.across - lay.kerb + self.rng.uniform(1.2, 2.2)) < 0.15
            dots = 0.9 + 0.1 * np.sin(self.along * 40) * np.sin(self.across * 40) * self.fine
            colour = np.where(strip[..., None], np.array([0.80, 0.66, 0.20]) * dots[..., None], colour)
        colour = np.where(self.is_wall[..., None], self._wall(), colour)
        sky = (~self.is_wall) & (self.up > 0.05)
        return np.where(sky[..., None], np.array([0.78, 0.82, 0.88]), colour).astype(np.float32)

    def light(self) -> Floats:
        """Brightness of every pixel: lamps at night, a wall's shade and a building's shadow by day."""
        scene, rng = self.scene, self.rng
        if scene.light == "night":
            return np.clip(lamp_light(self.along, self.across, infrared=scene.infrared), 0.05, 1.2)
        shade = np.ones_like(self.far)
        if scene.light == "day" and not scene.rain and rng.random() < 0.6:
            slope, offset = rng.uniform(-0.6, 0.6), rng.uniform(-2, 9)
            side = np.sign(rng.normal())
            shade = np.where(side * (self.across - offset - slope * self.along) > 0, 0.66, 1.0)
        return np.where(self.is_wall, 0.86, shade).astype(np.float32)


def lamp_light(along: Floats, across: Floats, *, infrared: bool) -> Floats:
    """Night's light on the ground: lamps every 14 m, or the pole's own infrared."""
    if infrared:
        return np.asarray(1.3 / (1 + (along**2 + across**2) / 55), np.float32)
    near = np.mod(along + 7, 14) - 7
    return np.asarray(0.16 + 0.75 / (1 + (near**2 + (across - 4) ** 2) / 14), np.float32)


def paint(
    scene: Scene, layout: Layout, lens: Lens, rng: np.random.Generator, level: float, tint: tuple[float, float, float]
) -> tuple[Bytes, Bytes, Bytes]:
    """Return the planes of the empty street; ``level`` is the light's overall brightness."""
    painter = _Painter(scene, layout, lens, rng)
    rgb = painter.albedo() * painter.light()[..., None] * (level * np.array(tint))
    if scene.rain:
        wet = ~painter.is_wall
        gloss = np.clip(_sample(painter.noise, painter.along, painter.across, 9) + 0.25, 0, 1)
        rgb = np.where(wet[..., None], rgb * 0.72 + 0.13 * level * gloss[..., None], rgb)
    picture = Image.fromarray((np.clip(rgb, 0, 1) * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(0.6 * lens.width / 1280)
    )
    ycc = np.asarray(picture.convert("YCbCr"))
    half = np.asarray(picture.reduce(2).convert("YCbCr"))
    u, v = half[..., 1], half[..., 2]
    if scene.infrared:
        u, v = np.full_like(u, 128), np.full_like(v, 128)
    luma = np.clip(ycc[..., 0], DARKEST, BRIGHTEST)
    return (
        np.ascontiguousarray(luma),
        np.ascontiguousarray(np.clip(u, 16, 240)),
        np.ascontiguousarray(np.clip(v, 16, 240)),
    )
