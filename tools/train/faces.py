"""Real faces of known class, in the many views that a pole may have of them.

Knows:  which photographs train, choose and measure; where a face lies in the counter's crop.
Never:  a held-out face in training, nor one that chooses a confidence.
Leaves: tiles around faces, frames twice as fine as the crop, (96, 72, 3) uint8 crops.
Clauses: 4.2(2) (classes of closed lists, nothing that tells two people apart).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.tensors import CROP_HEIGHT, CROP_WIDTH
from tools.train.real_samples import HELD, Photograph, held_out, read_folder
from tools.train.shards import Picture

SEXES, AGES, MASKS = (CATEGORIES[d][:-1] for d in (Dimension.SEX, Dimension.AGE, Dimension.MASK))
Classes = tuple[int, int, int]
FACE_AGES = {"0-2": 0, "3-9": 0, "10-19": 0, "20-29": 1, "30-39": 1, "40-49": 2, "50-59": 2, "70+": 3}
"""60-69 lies in two of our bands and is left out."""

MASK_STATES = {"with_mask": 0, "without_mask": 1}
"""A mask worn under the nose is neither, and is left out."""

PARTS = ("train", "choose", "held")
WIDE = 2.78
"""A tile's side in face heights: as much as the pictures of faces with sex and age have."""

FINEST = 224
LEAST = 9.0
"""Pixels: no tile is finer than the first, no face smaller than the second is taken."""

FRAME = (2 * CROP_WIDTH, 2 * CROP_HEIGHT)
ROWS, COLUMNS = (4, 61), (16, 57)
"""Of the 96 x 72 crop, where its person's face is: the trunk looks at nothing else."""

UPRIGHT = (40.0, 36.0, 30.0)
"""Height and middle (across, down) of a face in the crop, in its pixels."""


@dataclass(frozen=True, slots=True)
class Face:
    """A square tile with a face in its middle; ``classes`` are -1 where unknown, ``height`` is in the photograph."""

    tile: Image.Image
    classes: Classes
    height: float
    name: str
    close_up: bool

    @property
    def groups(self) -> tuple[str, ...]:
        """Return sex and age band, where they are known."""
        sex, age, _ = self.classes
        return tuple(names[k] for names, k in ((SEXES, sex), (AGES, age)) if k >= 0)


def part_of(photo: Photograph, fold: tuple[int, int] | None = None) -> str:
    """Return which of :data:`PARTS` a photograph is in; with ``fold`` (k, n) the k-th of n is held out instead."""
    byte, other = hashlib.sha256(photo.path.name.encode()).digest()[:2]
    if fold is not None and other % fold[1] == fold[0]:
        return "held"
    if fold is None and held_out(photo):
        return "held"
    low = 0 if fold is not None else HELD
    return "choose" if low <= byte < low + HELD else "train"


def read_faces(
    data: Path, part: str, *, tier_b: bool = True, fold: tuple[int, int] | None = None, least: float = LEAST
) -> Iterator[Face]:
    """Yield the faces of one part, those of known sex (close up) and those of known mask."""
    for photo in read_folder(data, tier_b=tier_b):
        if not photo.faces or part_of(photo, fold) != part:
            continue
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB")
        for face in photo.faces:
            x, y, w, h = face["bbox"]
            state = MASK_STATES.get(str(face.get("mask")), -1)
            sex = str(face.get("gender"))
            if sex in SEXES:
                # These pictures are from before 2020: nobody wears a mask.
                known = (SEXES.index(sex), FACE_AGES.get(str(face.get("age")), -1), 1)
                x, y, w, h = close_up_box(picture.size)
                tile = _tile(picture, (x + w / 2, y + h / 2), h)
                yield Face(tile, known, h, photo.path.name, close_up=True)
            elif state >= 0 and h >= least:
                tile = _tile(picture, (x + w / 2, y + h / 2), h)
                yield Face(tile, (-1, -1, state), h, photo.path.name, close_up=False)


def close_up_box(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return left, top, width, height of the face in a picture that is all head: 0.36 of it, above its middle."""
    wide, tall = 0.8 * 0.36 * size[1], 0.36 * size[1]
    return (size[0] - wide) / 2, 0.47 * size[1] - tall / 2, wide, tall


def _tile(picture: Image.Image, middle: tuple[float, float], face: float) -> Image.Image:
    side = WIDE * face
    left, top = middle[0] - side / 2, middle[1] - side / 2
    whole = Image.new("RGB", (max(1, round(side)), max(1, round(side))), (110, 108, 105))
    whole.paste(picture, (-round(left), -round(top)))
    fine = min(FINEST, whole.width)
    return whole.resize((fine, fine), Image.Resampling.BOX) if fine < whole.width else whole


def frame_of(face: Face, place: tuple[float, float, float], turn: float = 0.0, squeeze: float = 1.0) -> Image.Image:
    """Return the crop around a face, twice as fine: its height and middle are ``place`` (as :data:`UPRIGHT`).

    ``turn`` is in radians, ``squeeze`` stretches it across.
    """
    height, across, down = place
    side = face.tile.width
    scale = side / WIDE / (2 * height)
    a, b, d, e = (
        scale * np.cos(turn) / squeeze,
        scale * np.sin(turn),
        -scale * np.sin(turn) / squeeze,
        scale * np.cos(turn),
    )
    c, f = side / 2 - a * 2 * across - b * 2 * down, side / 2 - d * 2 * across - e * 2 * down
    return face.tile.transform(
        FRAME, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=(110, 108, 105)
    )


def seen(frame: Image.Image, rows: int) -> Picture:
    """Bring a frame to the crop through ``rows`` rows of pixels, colours at half of that, as a pole has it."""
    size = (max(6, rows * 3 // 4), max(8, rows))
    y, u, v = frame.resize(size, Image.Resampling.BOX).convert("YCbCr").split()
    half = (max(3, size[0] // 2), max(4, size[1] // 2))
    planes = [y, *(plane.resize(half, Image.Resampling.BOX) for plane in (u, v))]
    last = [plane.resize((CROP_WIDTH, CROP_HEIGHT), Image.Resampling.NEAREST) for plane in planes]
    return np.stack([np.asarray(plane) for plane in last], axis=2)


def any_place(rng: np.random.Generator, least: float = 29.0) -> tuple[float, float, float]:
    """Return height and middle of a face in the crop of a loose box."""
    return float(rng.uniform(least, 48)), UPRIGHT[1] + float(rng.normal(0, 3)), UPRIGHT[2] + float(rng.normal(0, 4))


def nobodys_view(face: Face, rng: np.random.Generator) -> Picture:
    """Return a crop in which the face is where the trunk does not look: shoulders, clothes, what is behind."""
    height, across, down = any_place(rng)
    far = (float(rng.choice((-1, 1)) * rng.uniform(0.8, 1.1)) * height, float(rng.uniform(-0.3, 0.3)) * height)
    if rng.random() < 0.5:
        far = (far[1], -float(rng.uniform(0.9, 1.3)) * height)
    return seen(frame_of(face, (height, across + far[0], down + far[1])), int(rng.integers(30, 116)))


def any_frame(face: Face, rng: np.random.Generator, least: float = 29.0) -> Image.Image:
    """Return a frame as a detector's loose boxes and a turned head make it; the face is ``least`` to 48 crop pixels."""
    return frame_of(face, any_place(rng, least), float(rng.normal(0, 0.12)), float(np.exp(rng.normal(0, 0.06))))


def any_view(face: Face, rng: np.random.Generator) -> Picture:
    """Return a crop: any frame, sometimes blurred, sometimes partly covered, through as many pixels as may be.

    A mask may still be seen where sex and age are not: of a close-up a face keeps 19 pixels at least, of others 12.
    """
    frame = any_frame(face, rng)
    if rng.random() < 0.25:
        frame = frame.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3))))
    if rng.random() < 0.1:
        size = tuple(int(side) for side in rng.uniform(15, 50, 2))
        at = tuple(int(place) for place in rng.uniform((20, 0), (110, 130)))
        frame.paste(tuple(int(c) for c in rng.integers(0, 255, 3)), (at[0], at[1], at[0] + size[0], at[1] + size[1]))
    return seen(frame, int(rng.integers(46 if face.close_up else 30, 116)))


def mixed(one: Face, other: Face, rng: np.random.Generator) -> Face:
    """Return somebody who does not exist: one's upper and the other's lower half, left and right, or both at once."""
    side = min(one.tile.width, other.tile.width)
    first, second = (
        np.asarray(face.tile.resize((side, side), Image.Resampling.BOX), np.float32) for face in (one, other)
    )
    across = np.linspace(-1, 1, side, dtype=np.float32) - float(rng.uniform(-0.1, 0.1))
    share = np.clip(0.5 + across * 8, 0, 1)
    kind = int(rng.integers(3))
    weight = (share[:, None, None], share[None, :, None], np.float32(rng.uniform(0.3, 0.7)))[kind]
    tile = Image.fromarray((first * (1 - weight) + second * weight).astype(np.uint8))
    return Face(tile, (-1, -1, 1), side / WIDE, f"{one.name}+{other.name}", close_up=True)


def close_ups(face: Face, size: int = 112, most: int = 8) -> Picture:
    """Return what the teacher looks at: (k, size, size, 3) R, G, B, the face about 0.9 of it; mirrored ones too."""
    middle, tall = face.tile.width / 2, face.tile.width / WIDE
    out: list[Picture] = []
    for share, lower in ((1.11, 0.0), (1.0, 0.03), (1.11, 0.06), (1.28, 0.03)):
        half, down = share * tall / 2, middle + lower * tall
        box = (middle - half, down - half, middle + half, down + half)
        one = np.asarray(face.tile.resize((size, size), Image.Resampling.BILINEAR, box=box))
        out += [one, one[:, ::-1]]
    return np.stack(out[:most])
