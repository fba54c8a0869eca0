"""The robustness page: the same crowd under worse and worse conditions, for every contender.

Knows:  held-out streets at night, in rain, in infrared, tilted, and what blur and noise do to a picture.
Never:  another crowd for another condition: light, weather and optics change, the people do not.
Leaves: a :class:`PictureSet` for each condition.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from tools.evaluate.drawn import HELD_OUT_SEEDS, SMALL_BYTES
from tools.evaluate.measure import marked
from tools.evaluate.pictures import PictureSet
from tools.evaluate.score import Marked
from tools.street.__main__ import picture_of
from tools.street.scene import Scene
from tools.street.street import Street

SEED = 80_000
TURNS = (-20.0, -6.0, 8.0, 22.0)
BASE = Scene(people_per_minute=25)
Worsen = Callable[[Image.Image, np.random.Generator], Image.Image]


def _as_it_is(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
    return picture


def blurred(radius: float) -> Worsen:
    """Return a lens out of focus: a Gaussian of ``radius`` small-picture pixels."""
    return lambda picture, _rng: picture.filter(ImageFilter.GaussianBlur(radius))


def moved(pixels: int) -> Worsen:
    """Return a camera that shook sideways by ``pixels`` while the shutter was open."""

    def worsen(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
        wide = np.pad(np.asarray(picture, np.float32), ((0, 0), (pixels, 0), (0, 0)), mode="edge")
        total = np.cumsum(wide, axis=1)
        mean = (total[:, pixels:] - total[:, :-pixels]) / pixels
        return Image.fromarray(np.clip(mean, 0, 255).astype(np.uint8))

    return worsen


def noisy(sigma: float) -> Worsen:
    """Return a sensor with its gain turned up."""

    def worsen(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        grain = rng.normal(0, sigma, (picture.height, picture.width, 1)).astype(np.float32)
        return Image.fromarray(np.clip(np.asarray(picture, np.float32) + grain, 0, 255).astype(np.uint8))

    return worsen


@dataclass(frozen=True, slots=True)
class Condition:
    """A scene and what happens to its pictures."""

    scene: Scene
    worsen: Worsen = _as_it_is


CONDITIONS: dict[str, Condition] = {
    "day": Condition(BASE),
    "dusk": Condition(replace(BASE, light="dusk")),
    "night": Condition(replace(BASE, light="night")),
    "infrared": Condition(replace(BASE, light="night", infrared=True)),
    "rain": Condition(replace(BASE, rain=True)),
    "wet": Condition(replace(BASE, rain=True, reflections=True)),
    "rainy-night": Condition(replace(BASE, light="night", rain=True, reflections=True)),
    "blur-1": Condition(BASE, blurred(1.0)),
    "blur-2": Condition(BASE, blurred(2.0)),
    "shaken-6": Condition(BASE, moved(6)),
    "noise-15": Condition(BASE, noisy(15.0)),
    **{f"tilt-{tilt}": Condition(replace(BASE, tilt=float(tilt))) for tilt in (15, 30, 45, 60)},
}


def as_set(name: str, slices: int) -> PictureSet:
    """Return one condition's pictures: four streets, ``slices`` each, 6 s apart."""
    condition = CONDITIONS[name]

    def pictures() -> Iterator[tuple[Image.Image, Marked]]:
        small = np.empty(SMALL_BYTES, np.uint8)
        for number, turn in enumerate(TURNS):
            street = Street(replace(condition.scene, turn=turn), HELD_OUT_SEEDS + SEED + number, width=640)
            rng = np.random.default_rng([SEED, number])
            for k in range(slices):
                truth = street.render(60.0 + 6 * k, None, small)
                yield condition.worsen(picture_of(small, 640), rng), marked(truth)

    return PictureSet(name, pictures)
