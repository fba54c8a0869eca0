"""Batches for the detector: photographs in many views, drawn streets, at either model's size.

Knows:  the shares of each.
Never:  a held-out photograph or street.
Leaves: pictures (b, h, w, 3) uint8; marks (b, m, 6): boxes, kind (1 person, 0 ignore, -1 no row), how sure; which of
        the pictures are photographs (b).
Clauses: none.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

from tools.train.real_samples import Photograph, Taught, held_out, labelled, read_folder
from tools.train.shards import Boxes, Picture, Shelf
from tools.train.views import Changes, Labelled, mosaic, view, without_dots

SIZES = {"s": (384, 192), "m": (512, 288)}
"""Width and height of the models' pictures."""

SHOWN = {"s": (512, 256), "m": (672, 384)}
"""Width and height of the pictures that batches hold: a third more each way, which is what a teacher sees."""

BATCH = {"s": 16, "m": 8}
STREETS, MOSAICS, WHOLES = 0.38, 0.2, 0.45
"""Share of drawn streets; of mosaics among photographs; of whole pictures among the others."""

SOURCES = {
    "coco2017": 0.18,
    "intel_sample_videos": 0.03,
    "roboflow_capston2_fixedcam": 0.14,
    "roboflow_capston2_wearable": 0.34,
    "kaggle_face_mask_detection_853": 0.31,
}
MOST_MARKS = 96


class Pictures:
    """Everything that is trained on: photographs in memory, streets on disk."""

    def __init__(self, data: Path, shards: Path, taught: Path | None, *, tier_b: bool) -> None:
        known: Taught = json.loads(taught.read_text()) if taught is not None and taught.exists() else {}
        self._photos: dict[str, list[Labelled]] = {}
        for photo in read_folder(data, tier_b=tier_b):
            if photo.source in SOURCES and not held_out(photo) and _usable(photo, known):
                self._photos.setdefault(photo.source, []).append(labelled(photo, known))
        self._shares = np.array([SOURCES[name] for name in self._photos])
        self._shares /= max(self._shares.sum(), 1e-9)
        self._shelf = Shelf(shards)

    def refresh(self) -> None:
        """Open shards that have appeared since."""
        self._shelf.refresh()

    def photograph(self, rng: np.random.Generator) -> Labelled:
        """Draw a source, then one of its photographs."""
        among = self._photos[list(self._photos)[int(rng.choice(len(self._shares), p=self._shares))]]
        return among[int(rng.integers(len(among)))]

    def street(self, rng: np.random.Generator) -> Labelled:
        """Draw a street's picture."""
        picture, boxes = self._shelf[int(rng.integers(len(self._shelf)))]
        y = Image.fromarray(picture[: 640 * 360].reshape(360, 640))
        u, v = (Image.fromarray(plane) for plane in picture[640 * 360 :].reshape(2, 180, 320))
        return Labelled((y, u, v), np.concatenate([boxes, np.ones((len(boxes), 1), np.float32)], axis=1))

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[Picture, Boxes, bool]:
        """Return one picture of ``size``, its boxes (n, 6), and whether it is a photograph."""
        if not self._photos or rng.random() < STREETS:
            return *view(self.street(rng), size, rng, whole=bool(rng.random() < 0.6)), False
        if rng.random() < MOSAICS:
            return *mosaic([self.photograph(rng) for _ in range(4)], size, rng), True
        return *view(self.photograph(rng), size, rng, whole=bool(rng.random() < WHOLES)), True


def _usable(photo: Photograph, known: Taught) -> bool:
    return photo.complete or photo.path.name in known


class Batches(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless batches of one size: pictures as a teacher sees them, boxes in the model's own pixels."""

    def __init__(self, pictures: Pictures, name: str, seed: int) -> None:
        super().__init__()
        self._pictures, self._name, self._seed = pictures, name, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rng, changes = np.random.default_rng([self._seed, 3]), Changes(self._seed)
        size, many = SHOWN[self._name], BATCH[self._name]
        smaller = np.array([*(SIZES[self._name][k % 2] / size[k % 2] for k in range(4)), 1, 1], np.float32)
        for number in itertools.count():
            if number % 100 == 99:
                self._pictures.refresh()
            pictures = np.empty((many, size[1], size[0], 3), np.uint8)
            marks = np.full((many, MOST_MARKS, 6), -1, np.float32)
            real = np.zeros(many, np.bool_)
            for k in range(many):
                picture, boxes, real[k] = self._pictures.draw(size, rng)
                pictures[k], boxes = changes(picture, boxes)
                marks[k, : len(boxes)] = without_dots(boxes * smaller)[:MOST_MARKS]
            yield torch.from_numpy(pictures), torch.from_numpy(marks), torch.from_numpy(real)
