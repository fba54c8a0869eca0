"""Who is on the street at a given second, and what each is doing.

Knows:  arrivals (Poisson, in groups), paths along pavements and across the road, pauses.
Never:  state that depends on what was asked before: every answer is a function of seed and time.
Leaves: walkers with place, heading and step.
Clauses: none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tools.street.backdrop import Layout
from tools.street.lens import Lens
from tools.street.look import Look, draw_look
from tools.street.scene import Scene

LONGEST_STAY_MINUTES = 3
FARTHEST_METRES = 27.0
GROUPS = ((1, 0.62), (2, 0.24), (3, 0.09), (4, 0.05))
MEAN_GROUP = sum(n * p for n, p in GROUPS)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a walker is: ground metres, heading (radians; 0 looks along +y), step phase or None when standing."""

    x: float
    y: float
    heading: float
    phase: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """One thing that moves: a person, or nobody (``look`` None: a car or a dog of kind ``kind``)."""

    number: int
    kind: str
    look: Look | None
    start_seconds: float
    begin: tuple[float, float]
    end: tuple[float, float]
    speed: float
    pause_at: float
    pause_seconds: float
    pause_heading: float
    umbrella: bool
    holding: bool
    colour: tuple[float, float, float]

    @property
    def length(self) -> float:
        """Metres of the path."""
        return math.dist(self.begin, self.end)

    @property
    def end_seconds(self) -> float:
        """When the walker has left."""
        return self.start_seconds + self.length / self.speed + self.pause_seconds

    def at(self, seconds: float) -> Step | None:
        """Return place and step at ``seconds``, None before and after the walk."""
        if not self.start_seconds <= seconds < self.end_seconds:
            return None
        gone = (seconds - self.start_seconds) * self.speed
        stop = self.pause_at * self.length
        standing = self.pause_seconds > 0 and stop <= gone < stop + self.pause_seconds * self.speed
        if standing:
            gone = stop
        elif self.pause_seconds > 0 and gone >= stop:
            gone -= self.pause_seconds * self.speed
        share = gone / max(self.length, 1e-6)
        dx, dy = self.end[0] - self.begin[0], self.end[1] - self.begin[1]
        heading = math.atan2(-dx, dy)
        weave = 0.10 * math.sin(gone * 0.8 + self.number) if self.look is not None else 0.0
        x = self.begin[0] + dx * share + weave * math.cos(heading)
        y = self.begin[1] + dy * share + weave * math.sin(heading)
        if standing:
            return Step(x, y, heading + self.pause_heading, None)
        double_step = 0.84 * (self.look.stature * self.look.stride if self.look else 0.7)
        return Step(x, y, heading, (gone / double_step * 2 * math.pi) % (2 * math.pi))


class Crowd:
    """All walkers of one street."""

    def __init__(self, scene: Scene, layout: Layout, lens: Lens, seed: int) -> None:
        self._scene, self._layout, self._lens, self._seed = scene, layout, lens, seed
        self._minutes: dict[int, list[Walker]] = {}

    def present(self, seconds: float) -> list[tuple[Walker, Step]]:
        """Return everybody and everything on the way at ``seconds``."""
        now = math.floor(seconds / 60)
        for minute in [m for m in self._minutes if m < now - LONGEST_STAY_MINUTES - 1 or m > now]:
            del self._minutes[minute]
        found = []
        for minute in range(now - LONGEST_STAY_MINUTES, now + 1):
            if minute not in self._minutes:
                self._minutes[minute] = self._arrivals(minute)
            for walker in self._minutes[minute]:
                step = walker.at(seconds)
                if step is not None:
                    found.append((walker, step))
        return found

    def _arrivals(self, minute: int) -> list[Walker]:
        rng = np.random.default_rng([self._seed, minute + 1_000_000])
        scene, out = self._scene, list[Walker]()
        for _ in range(int(rng.poisson(scene.people_per_minute / MEAN_GROUP))):
            out += self._group(rng, minute, len(out))
        for kind, rate in (("car", scene.cars_per_minute), ("dog", scene.dogs_per_minute)):
            if kind == "car" and self._layout.far_kerb == self._layout.kerb:
                continue
            for _ in range(int(rng.poisson(rate))):
                out.append(self._nobody(rng, minute, len(out), kind))
        return out

    def _stretch(self, across: float) -> tuple[float, float]:
        """Metres along the street between which a line at ``across`` is seen, with a margin on both ends."""
        seen = []
        for along in np.arange(-30, 30, 0.5):
            x, y = self._layout.ground(float(along), across)
            column, row, forward = self._lens.pixel(x, y, 0.9)
            inside = -0.06 < column / self._lens.width < 1.06 and row / self._lens.height < 1.3
            if forward > 1.0 and inside and math.hypot(x, y) < FARTHEST_METRES:
                seen.append(float(along))
        if not seen:
            return -1.0, 1.0
        return min(seen) - 0.8, max(seen) + 0.8

    def _path(
        self, rng: np.random.Generator, *, wheels: bool
    ) -> tuple[tuple[float, float], tuple[float, float], float]:
        """Begin and end (ground metres) and the side step's sign."""
        lay = self._layout
        if rng.random() < 0.07 and not wheels:
            along = float(rng.uniform(-4, 4))
            ends = (lay.ground(along, 0.6), lay.ground(along + float(rng.uniform(-1.5, 1.5)), lay.wall - 0.5))
        else:
            near = rng.random() < 0.8 or lay.far_kerb == lay.kerb
            low, high = (1.4, lay.kerb - 0.4) if near else (lay.far_kerb + 0.4, lay.wall - 0.5)
            across = float(rng.uniform(low, max(low + 0.1, high)))
            first, last = self._stretch(across)
            ends = (lay.ground(first, across), lay.ground(last, across + float(rng.uniform(-0.5, 0.5))))
        if rng.random() < 0.5:
            ends = (ends[1], ends[0])
        return ends[0], ends[1], 1.0

    def _group(self, rng: np.random.Generator, minute: int, already: int) -> list[Walker]:
        scene = self._scene
        size = int(rng.choice([n for n, _ in GROUPS], p=[p for _, p in GROUPS]))
        riding = bool(size == 1 and rng.random() < scene.bicycle_share)
        begin, end, _ = self._path(rng, wheels=riding)
        looks = [draw_look(rng, scene.mask_share)]
        for _ in range(size - 1):
            family = rng.random() < 0.3 and looks[0].age in ("20-39", "40-64")
            looks.append(draw_look(rng, scene.mask_share, "0-19" if family else None))
        speed = float(rng.uniform(3.0, 4.6)) if riding else min(look.speed for look in looks)
        start = minute * 60 + float(rng.uniform(0, 60))
        pauses = rng.random() < 0.14 and not riding
        pause = (float(rng.uniform(0.25, 0.75)), float(rng.uniform(4, 22)) if pauses else 0.0)
        length = max(math.dist(begin, end), 1e-6)
        side = ((end[1] - begin[1]) / length, -(end[0] - begin[0]) / length)
        out = []
        for k, look in enumerate(looks):
            aside = (k - (size - 1) / 2) * 0.62 + float(rng.normal(0, 0.05))
            shift = (side[0] * aside, side[1] * aside)
            umbrella = bool(scene.rain and not riding and rng.random() < scene.umbrella_share)
            out.append(
                Walker(
                    number=(minute % 100_000) * 1000 + already + k,
                    kind="bicycle" if riding else "person",
                    look=look,
                    start_seconds=start + abs(float(rng.normal(0, 0.25))),
                    begin=(begin[0] + shift[0], begin[1] + shift[1]),
                    end=(end[0] + shift[0], end[1] + shift[1]),
                    speed=speed,
                    pause_at=pause[0],
                    pause_seconds=pause[1],
                    pause_heading=float(rng.uniform(-2.5, 2.5)),
                    umbrella=umbrella,
                    holding=umbrella or bool(rng.random() < 0.08),
                    colour=tuple(float(c) for c in rng.uniform(0.05, 0.9, 3)),
                )
            )
        return out

    def _nobody(self, rng: np.random.Generator, minute: int, already: int, kind: str) -> Walker:
        lay = self._layout
        if kind == "car":
            lane = lay.kerb + (lay.far_kerb - lay.kerb) * (0.27 if rng.random() < 0.5 else 0.73)
            begin, end = lay.ground(-32, lane), lay.ground(32, lane)
            speed = float(rng.uniform(6, 11))
            grey = float(rng.uniform(0.05, 0.95))
            colour = (grey, grey, grey) if rng.random() < 0.65 else tuple(float(c) for c in rng.uniform(0.05, 0.8, 3))
            if lane > (lay.kerb + lay.far_kerb) / 2:
                begin, end = end, begin
        else:
            begin, end, _ = self._path(rng, wheels=True)
            speed = float(rng.uniform(0.9, 2.2))
            colour = ((0.5, 0.36, 0.22), (0.12, 0.1, 0.09), (0.85, 0.82, 0.75))[int(rng.integers(3))]
        return Walker(
            number=(minute % 100_000) * 1000 + already,
            kind=kind,
            look=None,
            start_seconds=minute * 60 + float(rng.uniform(0, 60)),
            begin=begin,
            end=end,
            speed=speed,
            pause_at=0.5,
            pause_seconds=0.0,
            pause_heading=0.0,
            umbrella=False,
            holding=False,
            colour=colour,
        )
