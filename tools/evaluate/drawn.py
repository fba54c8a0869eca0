"""Held-out drawn streets: suites by condition, for our detector alone or as pictures for anybody.

Knows:  the poles, rates and seeds that are for measuring only.
Never:  a seed that training draws from.
Leaves: lists of :class:`Seen` a street; a :class:`PictureSet`.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from tools.evaluate.measure import Detector, Seen, marked
from tools.evaluate.pictures import PictureSet
from tools.evaluate.score import Marked
from tools.street.__main__ import picture_of
from tools.street.scene import Scene
from tools.street.street import Street

HELD_OUT_SEEDS = 900_000
SMALL_BYTES = 640 * 360 * 3 // 2
POLES = ((4.0, 30.0, 12.0), (3.4, 24.0, -20.0), (4.6, 38.0, 5.0), (4.0, 50.0, -8.0))
"""Height (m), tilt and turn (degrees) of each."""

SUITES: dict[str, Scene] = {
    "day": Scene(),
    "dusk": Scene(light="dusk"),
    "night": Scene(light="night"),
    "infrared": Scene(light="night", infrared=True),
    "rain": Scene(rain=True),
    "empty": Scene(people_per_minute=0, cars_per_minute=5, dogs_per_minute=2, trees=2),
}
RATES = (6.0, 20.0, 60.0)


def scenes_of(name: str) -> list[Scene]:
    """Return a suite's scenes: every pole at every rate; an empty street has one rate."""
    base = SUITES[name]
    rates = RATES if base.people_per_minute else (0.0,)
    return [
        replace(base, people_per_minute=rate, height=pole[0], tilt=pole[1], turn=pole[2])
        for pole in POLES
        for rate in rates
    ]


def streets_of(name: str, detector: Detector, slices: int, first: int, width: int = 1280) -> list[list[Seen]]:
    """Run the detector over a suite, ``slices`` a street, 3 s apart; ``width`` 640 draws faster, a little sharper."""
    small = np.empty(SMALL_BYTES, np.uint8)
    out = []
    for number, scene in enumerate(scenes_of(name)):
        street = Street(scene, HELD_OUT_SEEDS + first + number, width)
        seen = []
        for k in range(slices):
            truth = street.render(10.0 + 3 * k, None, small)
            seen.append(Seen(*detector.look(small), truth))
        out.append(seen)
    return out


def as_set(name: str, slices: int, first: int) -> PictureSet:
    """Return the same streets as pictures."""

    def pictures() -> Iterator[tuple[Image.Image, Marked]]:
        small = np.empty(SMALL_BYTES, np.uint8)
        for number, scene in enumerate(scenes_of(name)):
            street = Street(scene, HELD_OUT_SEEDS + first + number, width=640)
            for k in range(slices):
                truth = street.render(10.0 + 3 * k, None, small)
                yield picture_of(small, 640), marked(truth)

    return PictureSet(f"street-{name}", pictures)
