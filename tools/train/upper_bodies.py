"""Upper bodies with classes: from the street, and real faces put where a pole would see them.

Knows:  the counter's own crop (``firmware.flow.tensors``), so that training sees what the pole sees.
Never:  a held-out face in training.
Leaves: (n, 96, 72, 3) uint8 crops, (n, 3) classes: sex, age band, mask; -1 where it is not known; pixels a face has.
Clauses: 4.2(2) (classes of closed lists, nothing that tells two people apart).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware.flow.tensors import ATTRIBUTE_SHAPE, CROP_HEIGHT, CROPS, AttributeInput, Planes
from tools.street.scene import Scene
from tools.street.street import Street
from tools.train.confidence import SIZES
from tools.train.faces import AGES, MASKS, SEXES, Classes, Face, any_place, frame_of, read_faces, seen
from tools.train.shards import Picture
from tools.train.street_samples import random_scene

SMALLEST_PERSON = {"train": 110.0, "choose": 150.0, "held": 150.0}
"""Pixels a drawn person is tall, at least, in each part; the manifest's ``minimum_height_pixels`` is the second."""

NEAR_SHARE = 0.75
"""Of the streets have people near enough that a mask is a few pixels: elsewhere there is nothing to learn."""

VIEWS = {True: 2, False: 1}
"""Of a close-up, and of a face with a mask state, at each size."""


def near_scene(rng: np.random.Generator) -> Scene:
    """Draw a street whose people wear masks half of the time, most of them near the pole and in good light."""
    scene = replace(random_scene(rng), mask_share=0.5)
    if rng.random() >= NEAR_SHARE:
        return scene
    return replace(
        scene,
        light="dusk" if rng.random() < 0.2 else "day",
        infrared=False,
        people_per_minute=float(rng.uniform(40, 120)),
        height=float(rng.uniform(2.8, 4.2)),
        tilt=float(rng.uniform(18, 36)),
        view=float(rng.uniform(50, 76)),
    )


def street_crops(seed: int, frames: int, smallest: float) -> Iterator[tuple[Picture, Classes]]:
    """Yield crops of one street's people of at least that height, boxes a little off as a detector's are."""
    rng = np.random.default_rng([seed, 78])
    street = Street(near_scene(rng), seed, width=640)
    small = np.empty(640 * 360 * 3 // 2, np.uint8)
    cutter, tensor = AttributeInput(), np.zeros(ATTRIBUTE_SHAPE, np.int8)
    seconds = 0.0
    for _ in range(frames):
        seconds += float(rng.uniform(3, 12))
        truth = street.render(seconds, None, small)
        chosen = [p for p in truth if p.visible_fraction > 0.6 and p.box[3] - p.box[1] >= smallest][:CROPS]
        if not chosen:
            continue
        boxes = np.zeros((CROPS, 4), np.float32)
        for k, person in enumerate(chosen):
            box = np.array(person.box, np.float32) / 2
            boxes[k] = box + rng.normal(0, 0.035, 4) * np.repeat([box[2] - box[0], box[3] - box[1]], 2)[[0, 2, 1, 3]]
        cutter.fill(Planes(small), boxes, tensor)
        crops = tensor.view(np.uint8) ^ 0x80
        for k, person in enumerate(chosen):
            yield crops[k].copy(), (SEXES.index(person.sex), AGES.index(person.age), MASKS.index(person.mask))


def views_of(face: Face, rng: np.random.Generator) -> Iterator[tuple[Picture, int]]:
    """Yield crops of one face with its height in pixels, at each size that it has pixels for."""
    for pixels in SIZES:
        for _ in range(VIEWS[face.close_up] if face.height >= pixels else 0):
            place = any_place(rng)
            yield seen(frame_of(face, place), round(CROP_HEIGHT * pixels / place[0])), pixels


def build(data: Path, out: Path, *, minutes: float, seed: int, tier_b: bool, fold: tuple[int, int] | None) -> None:
    """Write ``train.npz`` (drawn people only), ``choose.npz`` and ``held.npz`` (both with real faces) to ``out``.

    No street and no photograph is in two of them: on ``choose`` confidences are chosen, on ``held`` they are measured.
    """
    rng = np.random.default_rng([seed, 9])
    out.mkdir(parents=True, exist_ok=True)
    for name, first, share in (
        ("train", seed * 10_000, 0.45),
        ("choose", 920_000 + seed, 0.4),
        ("held", 900_000 + seed, 0.15),
    ):
        began, number = time.monotonic(), first
        rows: list[tuple[Picture, Classes, int]] = []
        while time.monotonic() - began < minutes * 60 * share:
            number += 1
            rows += [(crop, kind, 0) for crop, kind in street_crops(number, 8, SMALLEST_PERSON[name])]
        drawn = len(rows)
        for face in read_faces(data, name, tier_b=tier_b, fold=fold) if name != "train" else ():
            known = (*face.classes[:2], -1) if face.close_up else face.classes
            rows += [(crop, known, pixels) for crop, pixels in views_of(face, rng)]
        print(f"{name}: {drawn} drawn, {len(rows) - drawn} real", flush=True)
        crops, classes, sizes = zip(*rows, strict=True)
        np.savez(
            out / f"{name}.npz", crops=np.stack(crops), classes=np.array(classes, np.int64), pixels=np.array(sizes)
        )


def load(path: Path) -> tuple[Picture, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return crops (n, 96, 72, 3), classes (n, 3) and how many pixels each face has; 0 of a drawn person's."""
    with np.load(path) as kept:
        return kept["crops"], kept["classes"], kept["pixels"]
