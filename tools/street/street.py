"""Draws the street at a given second, and says exactly what is on the picture.

Knows:  a scene and a seed.
Never:  what was drawn before: equal seconds give equal bytes.
Leaves: planar 4:2:0 pictures in two sizes, and the truth.
Clauses: none.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tools.street import backdrop, likeness, things
from tools.street.body import Body, pose_of
from tools.street.canvas import Canvas, Fitted, Stamp, halve, placed
from tools.street.crowd import Crowd, Step, Walker
from tools.street.lens import Lens
from tools.street.look import SKINS
from tools.street.scene import Scene
from tools.street.splat import Lamp, Surface, shadow, splat
from tools.street.truth import PersonTruth, Truth
from tools.street.weather import Grain, lamp_of

Bytes = npt.NDArray[np.uint8]
SMALL_WIDTH = 640
PHASES = 9
CELL_COLUMNS, CELL_ROWS = 6, 7
Stamps = tuple[Stamp, Stamp | None, Stamp | None, Stamp | None]
"""A walker's own stamp, what is before it (umbrella), what is behind (bicycle), its shadow."""


class _Standing:
    """A prop that never moves: drawn once."""

    def __init__(self, stamp: Stamp, fall: Stamp | None, at: tuple[float, float, float], *, sways: bool) -> None:
        self.stamp, self.fall, self.sways = stamp, fall, sways
        self.column, self.row, self.depth = at
        self.fitted: dict[int, Fitted | None] = {}
        self.mirrored: Fitted | None = None


class Street:
    """One street: ``Street(scene, seed).render(seconds, main, small)``.

    ``width`` is the drawn picture's (1280, the main frame; 640 draws the small frame directly, four times
    as fast and a little sharper, for training).
    """

    def __init__(self, scene: Scene, seed: int, width: int = 1280) -> None:
        if width not in (1280, SMALL_WIDTH):
            raise ValueError("width must be 1280 or 640")
        self.scene, self.seed = scene, seed
        rng = np.random.default_rng([seed, 1])
        self.lens = Lens.of(width, scene.height, scene.tilt, scene.view)
        self.layout = backdrop.Layout.of(scene, rng)
        self._lamp, level, self._dark = lamp_of(scene, rng)
        self._canvas = Canvas(backdrop.paint(scene, self.layout, self.lens, rng, level, self._lamp.tint))
        self._grain = Grain(scene, rng, self._canvas.y.shape)
        self._crowd = Crowd(scene, self.layout, self.lens, seed)
        self._bodies: dict[tuple[int, int], Body] = {}
        self._stamps: dict[int, dict[tuple[int, int, int], Stamps]] = {}
        self._standing = self._furnish(rng)

    def render(self, seconds: float, main: Bytes | None, small: Bytes | None) -> Truth:
        """Draw the street at ``seconds`` into the given planar pictures, rows tight, and return the truth.

        ``main`` holds 1280 x 720 x 1.5 bytes, ``small`` 640 x 360 x 1.5 (uint8, any shape that reshapes to
        one dimension without a copy); either may be None. Raises ValueError for a wrong size.
        """
        present = self._crowd.present(seconds)
        self._forget({walker.number for walker, _ in present})
        self._canvas.clear()
        drawn = [(self._stamps_of(w, s), w, self.lens.pixel(s.x, s.y)) for w, s in present if self._visible(s)]
        for stamps, _, (column, row, depth) in drawn:
            if stamps[3] is not None:
                self._canvas.darken(stamps[3], column, row, self.lens.focal / depth / stamps[3].scale, self._dark)
        if self.scene.reflections:
            self._reflect(drawn)
        truth = self._layers(drawn, seconds)
        noise = np.random.default_rng([self.seed, 2, int(seconds * 1000) & 0xFFFFFFFF])
        self._grain.add((self._canvas.y, self._canvas.u, self._canvas.v), noise)
        self._hand_out(main, small)
        return truth

    def _visible(self, step: Step) -> bool:
        return self.lens.pixel(step.x, step.y, 0.9)[2] > 1.2

    def _reflect(self, drawn: list[tuple[Stamps, Walker, tuple[float, float, float]]]) -> None:
        """Lay everything's mirror image on the wet ground, before anything stands on it."""
        images = [prop.mirrored for prop in self._standing]
        for stamps, _, (column, row, depth) in drawn:
            image = likeness.mirror_image(stamps[0])
            images.append(self._canvas.fit(image, column, row, self.lens.focal / depth / image.scale))
        for fitted in images:
            if fitted is not None:
                self._canvas.lay(fitted, 0)

    def _layers(self, drawn: list[tuple[Stamps, Walker, tuple[float, float, float]]], seconds: float) -> Truth:
        """Lay everything down, farthest first, and read the truth off the person map."""
        order: list[tuple[float, int]] = [(at[2], k) for k, (_, _, at) in enumerate(drawn)]
        order += [(prop.depth, -k - 1) for k, prop in enumerate(self._standing)]
        for _, k in sorted(order, reverse=True):
            if k < 0:
                prop = self._standing[-k - 1]
                self._lay_prop(prop, round(math.sin(seconds * 1.3 + k) * 3) if prop.sways else 0)
                continue
            (body, before, behind, _), walker, (column, row, depth) = drawn[k]
            for stamp, number in ((behind, 0), (body, k + 1 if walker.look else 0), (before, 0)):
                if stamp is None:
                    continue
                fitted = self._canvas.fit(stamp, column, row, self.lens.focal / depth / stamp.scale)
                if fitted is not None:
                    self._canvas.lay(fitted, number)
        seen = np.bincount(self._canvas.ids.ravel(), minlength=len(drawn) + 1)
        return tuple(
            person
            for k, (stamps, walker, at) in enumerate(drawn)
            if (person := self._truth_of(stamps[0], walker, at, int(seen[k + 1]))) is not None
        )

    def _lay_prop(self, prop: _Standing, sway: int) -> None:
        """Lay something that stands; ``sway`` is half pixels to the right."""
        if sway not in prop.fitted:
            ratio = self.lens.focal / prop.depth / prop.stamp.scale
            prop.fitted[sway] = self._canvas.fit(prop.stamp, prop.column + sway / 2, prop.row, ratio)
        fitted = prop.fitted[sway]
        if fitted is not None:
            self._canvas.lay(fitted, 0)

    def _truth_of(self, stamp: Stamp, walker: Walker, at: tuple[float, float, float], seen: int) -> PersonTruth | None:
        column, row, depth = at
        if walker.look is None or seen == 0:
            return None
        ratio = self.lens.focal / depth / stamp.scale
        whole = stamp.solid * ratio * ratio / 4
        edges = np.array(placed(stamp, column, row, ratio)) * (SMALL_WIDTH / self.lens.width)
        left, top, right, bottom = (float(e) for e in np.clip(edges, 0, [640, 360, 640, 360]))
        return PersonTruth(
            (left, top, right, bottom),
            min(1.0, seen / max(whole, 1.0)),
            walker.look.sex,
            walker.look.age,
            walker.look.mask,
            SKINS.index(walker.look.skin),
        )

    def _forget(self, here: set[int]) -> None:
        for number in [n for n in self._stamps if n not in here]:
            del self._stamps[number]
        for key in [k for k in self._bodies if k[0] not in here]:
            del self._bodies[key]

    def _stamps_of(self, walker: Walker, step: Step) -> Stamps:
        """Return the walker's stamps for its part of the picture and step, drawing them where they are new."""
        column, row, _ = self.lens.pixel(step.x, step.y)
        wide, high = self.lens.width / CELL_COLUMNS, self.lens.height / CELL_ROWS
        cell = (math.floor(column / wide), math.floor(row / high))
        phase = -1 if step.phase is None else int(step.phase / (2 * math.pi) * PHASES) % PHASES
        if walker.kind == "car":
            phase = 0
        key = (phase, *cell)
        shelf = self._stamps.setdefault(walker.number, {})
        if key not in shelf:
            at = self.lens.ground_at((cell[0] + 0.5) * wide, (cell[1] + 0.5) * high)
            if math.hypot(*at) > 40:
                at = (step.x, step.y)
            angle = None if phase < 0 else (phase + 0.5) / PHASES * 2 * math.pi
            shelf[key] = self._draw(walker, at, step.heading, angle)
        return shelf[key]

    def _lamp_at(self, at: tuple[float, float]) -> Lamp:
        """Return the lamp; at night it depends on the place."""
        lamp = self._lamp
        if self.scene.light != "night":
            return lamp
        c, s = math.cos(self.layout.turn), math.sin(self.layout.turn)
        along, across = np.float32(at[0] * c + at[1] * s), np.float32(-at[0] * s + at[1] * c)
        gain = float(backdrop.lamp_light(along, across, infrared=self.scene.infrared))
        gain = min(max(gain, 0.1), 1.25)
        return Lamp(lamp.sky * gain, lamp.sun * gain, lamp.towards_sun, lamp.tint, grey=lamp.grey)

    def _detail(self, at: tuple[float, float], coarse: float = 0.8) -> tuple[float, float]:
        """Return points a metre and oversampling for something standing at ``at``."""
        depth = max(self.lens.pixel(at[0], at[1], 0.9)[2], 1.0)
        scale = self.lens.focal / depth
        over = min(1.25, max(0.55, 95.0 / scale)) * coarse
        return min(max(scale * over * 0.70, 12.0), 130.0), over

    def _draw(self, walker: Walker, at: tuple[float, float], heading: float, phase: float | None) -> Stamps:
        lamp = self._lamp_at(at)
        density, over = self._detail(at, 0.5 if walker.kind == "car" else 0.9)
        if walker.look is None:
            shape = (
                things.car(walker.colour, density) if walker.kind == "car" else things.dog(0.45, walker.colour, density)
            )
            return self._cast(things.surface_of(shape, heading, lamp.tint), at, lamp, over)
        level = math.ceil(math.log2(density) * 4)
        body = self._bodies.get((walker.number, level))
        if body is None:
            body = self._bodies[walker.number, level] = Body(walker.look, 2 ** (level / 4), lamp.tint)
        riding = walker.kind == "bicycle"
        pose = pose_of(walker.look, phase, holding=walker.holding, riding=riding)
        own = self._cast(body.surface(pose, heading), at, lamp, over)
        before = behind = None
        if walker.umbrella:
            cover = things.surface_of(things.umbrella(walker.look.stature, walker.colour, density), heading, lamp.tint)
            before = self._cast(cover, at, lamp, over)[0]
        if riding:
            frame = things.surface_of(things.bicycle(walker.colour, density), heading, lamp.tint)
            behind = self._cast(frame, at, lamp, over)[0]
        return own[0], before, behind, own[3]

    def _cast(self, surface: Surface, at: tuple[float, float], lamp: Lamp, over: float) -> Stamps:
        stamp = Stamp.of(splat(surface, at=at, lens=self.lens, lamp=lamp, oversample=over))
        fall = shadow(surface.points, at=at, lens=self.lens, towards_sun=lamp.towards_sun, scale=over * 0.3)
        return stamp, None, None, Stamp.of(fall) if fall is not None else None

    def _furnish(self, rng: np.random.Generator) -> list[_Standing]:
        """Put up what stands, and let its shadow and its mirror image fall on the ground."""
        out, lay, scene = list[_Standing](), self.layout, self.scene
        kinds = ["post"] * scene.posts + ["tree"] * scene.trees + ["car"] * scene.parked_cars
        kinds += ["statue"] * scene.statues + ["poster"] * scene.posters
        for kind in kinds:
            across = lay.kerb - 0.5 if kind != "car" else lay.kerb + 1.1
            if kind == "post" and rng.random() < 0.4:
                across = float(rng.uniform(2.0, lay.kerb - 0.5))
            if kind in ("statue", "poster"):
                across = float(rng.uniform(2.5, lay.wall - 0.5))
            x, y = lay.ground(float(rng.uniform(-7, 7)), across)
            column, row, depth = self.lens.pixel(x, y)
            if depth < 2.5 or (kind == "car" and lay.far_kerb == lay.kerb):
                continue
            density, over = self._detail((x, y), 0.7)
            stamp, _, _, fall = self._cast(self._thing(kind, (x, y), rng, density), (x, y), self._lamp_at((x, y)), over)
            out.append(_Standing(stamp, fall, (column, row, depth), sways=kind == "tree"))
        for prop in out:
            if prop.fall is not None:
                self._canvas.stain(
                    prop.fall, prop.column, prop.row, self.lens.focal / prop.depth / prop.fall.scale, self._dark
                )
            if scene.reflections:
                image = likeness.mirror_image(prop.stamp)
                prop.mirrored = self._canvas.fit(
                    image, prop.column, prop.row, self.lens.focal / prop.depth / image.scale
                )
        return out

    def _thing(self, kind: str, at: tuple[float, float], rng: np.random.Generator, density: float) -> Surface:
        """Return the surface of something that stands at ``at``."""
        red, green, blue = (float(c) for c in rng.uniform(0.1, 0.9, 3))
        if kind in ("statue", "poster"):
            heading = likeness.facing_pole(*at, rng)
            make = likeness.statue if kind == "statue" else likeness.poster
            return make(rng, density, heading, self._lamp.tint)
        if kind == "car":
            shape = things.car((red, green, blue), density)
        else:
            shape = things.post(rng, density) if kind == "post" else things.tree(rng, density)
        heading = self.layout.turn - math.pi / 2 if kind == "car" else self.layout.turn
        return things.surface_of(shape, heading, self._lamp.tint)

    def _hand_out(self, main: Bytes | None, small: Bytes | None) -> None:
        planes = (self._canvas.y, self._canvas.u, self._canvas.v)
        wide = self.lens.width
        for out, width in ((main, 1280), (small, SMALL_WIDTH)):
            if out is None:
                continue
            if out.size != width * width * 9 // 16 * 3 // 2:
                raise ValueError(
                    f"a picture {width} wide needs {width * width * 9 // 16 * 3 // 2} bytes, got {out.size}"
                )
            flat, start = out.reshape(-1), 0
            for plane in planes:
                shape = (plane.shape[0] * width // wide, plane.shape[1] * width // wide)
                target = flat[start : start + shape[0] * shape[1]].reshape(shape)
                start += target.size
                if width == wide:
                    np.copyto(target, plane)
                elif width < wide:
                    halve(plane, target)
                else:
                    raise ValueError("a street drawn 640 wide has no main picture")
