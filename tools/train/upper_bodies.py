"""Upper bodies with classes: from the street, and real faces put where a pole would see them.

Knows:  the counter's own crop (``firmware.flow.tensors``), so that training sees what the pole sees.
Never:  a held-out face in training.
Leaves: (n, 96, 72, 3) uint8 crops and (n, 3) classes: sex, age band, mask; -1 where it is not known.
Clauses: 4.2(2) (classes of closed lists, nothing that tells two people apart).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.tensors import ATTRIBUTE_SHAPE, CROP_HEIGHT, CROP_WIDTH, CROPS, AttributeInput, Planes
from tools.street.scene import Scene
from tools.street.street import Street
from tools.train.real_samples import Photograph, held_out, read_folder
from tools.train.shards import Picture
from tools.train.street_samples import random_scene

SEXES, AGES, MASKS = (CATEGORIES[d][:-1] for d in (Dimension.SEX, Dimension.AGE, Dimension.MASK))
Classes = tuple[int, int, int]
SMALLEST_PERSON = 56.0
"""Small-picture pixels a person is tall, at least, for a crop to be worth learning from."""

NEAR_SHARE = 0.75
"""Of the streets have people near enough that a mask is a few pixels: elsewhere there is nothing to learn."""

FACE_AGES = {"0-2": 0, "3-9": 0, "10-19": 0, "20-29": 1, "30-39": 1, "40-49": 2, "50-59": 2, "70+": 3}
"""60-69 lies in two of our bands and is left out."""


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


def street_crops(seed: int, frames: int) -> Iterator[tuple[Picture, Classes]]:
    """Yield crops of one street's people, boxes a little off as a detector's are."""
    rng = np.random.default_rng([seed, 78])
    street = Street(near_scene(rng), seed, width=640)
    small = np.empty(640 * 360 * 3 // 2, np.uint8)
    cutter, tensor = AttributeInput(), np.zeros(ATTRIBUTE_SHAPE, np.int8)
    seconds = 0.0
    for _ in range(frames):
        seconds += float(rng.uniform(3, 12))
        truth = street.render(seconds, None, small)
        chosen = [p for p in truth if p.visible_fraction > 0.6 and p.box[3] - p.box[1] >= SMALLEST_PERSON][:CROPS]
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


def _crop(picture: Image.Image, box: tuple[float, float, float, float], rng: np.random.Generator) -> Picture:
    """Cut ``box`` and bring it to 72 x 96 through the few pixels that a pole would have."""
    pixels = int(rng.integers(44, 110))
    coarse = picture.resize((max(8, pixels * 3 // 4), pixels), Image.Resampling.BOX, box=box)
    fine = coarse.resize((CROP_WIDTH, CROP_HEIGHT), Image.Resampling.NEAREST)
    return np.asarray(fine.convert("YCbCr")).copy()


def mask_crops(photo: Photograph, rng: np.random.Generator) -> Iterator[tuple[Picture, Classes]]:
    """Yield upper bodies around the faces of one photograph whose mask is known."""
    with Image.open(photo.path) as opened:
        picture = opened.convert("RGB")
    for face in photo.faces:
        state = {"with_mask": 0, "without_mask": 1}.get(str(face.get("mask")))
        x, y, w, h = face["bbox"]
        if state is None or h < 9:
            continue
        tall = h * float(rng.uniform(2.05, 2.9))
        wide = tall * 0.75
        left = x + w / 2 - wide * float(rng.uniform(0.42, 0.58))
        top = y - tall * float(rng.uniform(0.04, 0.18))
        frame = Image.new("RGB", (int(wide) + 1, int(tall) + 1), (110, 108, 105))
        frame.paste(picture, (-int(left), -int(top)))
        yield _crop(frame, (0, 0, frame.width, frame.height), rng), (-1, -1, state)


def face_crop(photo: Photograph, body: Picture, rng: np.random.Generator) -> tuple[Picture, Classes]:
    """Cut head and shoulders out of a face picture as a pole's crop has them; sex and age are known, the mask is not.

    The pictures are heads with a wide margin, faces about 0.36 of their height; ``body`` lends the brightness.
    """
    face = photo.faces[0]
    band = FACE_AGES.get(str(face.get("age")), -1)
    with Image.open(photo.path) as opened:
        picture = opened.convert("RGB")
    size = float(rng.uniform(86, 128))  # of the whole picture, in crop pixels: a face of 31 to 46
    level = float(np.clip(body[..., 0].mean() / 115, 0.75, 1.1))
    centre = (CROP_WIDTH / 2 + float(rng.normal(0, 3)), 31 + float(rng.normal(0, 4)))
    left, top = round(centre[0] - 0.5 * size), round(centre[1] - 0.46 * size)
    under = picture.resize((6, 8), Image.Resampling.BOX).resize((CROP_WIDTH, CROP_HEIGHT), Image.Resampling.BILINEAR)
    under.paste(picture.resize((round(size), round(size)), Image.Resampling.BOX), (left, top))
    under = under.point(lambda value: min(255, int(value * level)))
    return _crop(under, (0, 0, CROP_WIDTH, CROP_HEIGHT), rng), (SEXES.index(str(face["gender"])), band, -1)


def build(data: Path, out: Path, *, minutes: float, seed: int, tier_b: bool) -> None:
    """Write ``train.npz``, ``choose.npz`` and ``held.npz`` (crops, classes, real) to ``out``.

    ``choose`` has drawn people only, of streets that neither of the others knows: the confidence is chosen on it.
    """
    rng = np.random.default_rng([seed, 9])
    photos = read_folder(data, tier_b=tier_b)
    for name, first, share in (
        ("train", seed * 10_000, 0.8),
        ("choose", 920_000 + seed, 0.1),
        ("held", 900_000 + seed, 0.1),
    ):
        wanted = name != "train"
        crops: list[Picture] = []
        classes: list[Classes] = []
        began, number = time.monotonic(), first
        while time.monotonic() - began < minutes * 60 * share:
            number += 1
            for crop, kind in street_crops(number, 8):
                crops.append(crop)
                classes.append(kind)
        streets = len(crops)
        several = 16  # views of a face: there are few of them
        chosen = [p for p in photos if p.faces and held_out(p) == wanted and name != "choose"]
        for repeat in range(1 if wanted else 2):
            for photo in chosen:
                if photo.faces[0].get("gender"):
                    for _ in range(1 if wanted else several):
                        crop, kind = face_crop(photo, crops[int(rng.integers(streets))], rng)
                        crops.append(crop)
                        classes.append(kind)
                else:
                    for crop, kind in mask_crops(photo, rng):
                        crops.append(crop)
                        classes.append(kind)
            print(name, repeat, streets, len(crops), flush=True)
        out.mkdir(parents=True, exist_ok=True)
        real = np.arange(len(crops)) >= streets
        np.savez(out / f"{name}.npz", crops=np.stack(crops), classes=np.array(classes, np.int64), real=real)


def load(path: Path) -> tuple[Picture, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return crops (n, 96, 72, 3), classes (n, 3) and whether each is of a real person."""
    with np.load(path) as kept:
        return kept["crops"], kept["classes"], kept["real"]
