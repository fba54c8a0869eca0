"""Unlimited labelled pictures from the synthetic street.

Knows:  which streets a pole may look at: heights, tilts, lights, weathers, crowds.
Never:  a street of the validation seeds.
Leaves: samples, and upper bodies with their true classes.
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tools.street.scene import Scene
from tools.street.street import Street
from tools.street.truth import Truth
from tools.train.shards import Boxes, Sample

SMALLEST_HEIGHT = 15.0
"""Small-picture pixels; shorter persons are neither asked for nor punished."""

HELD_OUT_SEEDS = 900_000
"""Seeds from here on are for validation and evaluation only."""


def random_scene(rng: np.random.Generator) -> Scene:
    """Draw a street as varied as poles are."""
    light = str(rng.choice(["day", "dusk", "night"], p=[0.46, 0.19, 0.35]))
    tilt = float(rng.uniform(18, 58))
    crowd = 0.0 if rng.random() < 0.12 else float(np.exp(rng.uniform(np.log(5), np.log(120))))
    return Scene(
        people_per_minute=crowd,
        light=light,
        rain=bool(rng.random() < 0.2),
        infrared=bool(light == "night" and rng.random() < 0.4),
        height=float(rng.uniform(2.9, 5.2)),
        tilt=tilt,
        view=float(rng.uniform(55, 92)),
        turn=float(rng.uniform(-40, 40)),
        plaza=bool(rng.random() < 0.25),
        mask_share=0.3,
        bicycle_share=0.07,
        cars_per_minute=float(rng.uniform(0, 8)),
        dogs_per_minute=float(rng.uniform(0, 4)),
        parked_cars=int(rng.integers(0, 3)),
        trees=int(rng.integers(0, 3)),
        posts=int(rng.integers(0, 5)),
        statues=int(rng.random() < 0.25),
        posters=int(rng.choice([0, 1, 2], p=[0.65, 0.22, 0.13])),
        reflections=bool(rng.random() < 0.3),
    )


def boxes_of(truth: Truth) -> Boxes:
    """Return boxes (n, 5) in pixels of the small picture; hardly visible or very small persons are places to ignore."""
    rows = []
    for person in truth:
        left, top, right, bottom = person.box
        if right - left < 2 or bottom - top < 2:
            continue
        wanted = person.counted and bottom - top >= SMALLEST_HEIGHT
        rows.append((left, top, right, bottom, 1.0 if wanted else 0.0))
    return np.array(rows, np.float32).reshape(-1, 5)


def street_samples(seed: int, frames: int, scene: Scene | None = None) -> Iterator[Sample]:
    """Yield ``frames`` samples of one street, seconds or minutes apart."""
    rng = np.random.default_rng([seed, 77])
    street = Street(scene or random_scene(rng), seed, width=640)
    small = np.empty(640 * 360 * 3 // 2, np.uint8)
    seconds = 0.0
    for _ in range(frames):
        seconds += float(rng.uniform(2, 20))
        truth = street.render(seconds, None, small)
        yield small.copy(), boxes_of(truth)
