"""Drawn streets on disk, whole, as the camera gives them.

Knows:  a shard: ``pictures`` (n, 345600) uint8 I420 of 640 x 360, ``boxes`` (m, 6) float32, one ``.npy`` each.
Never:  what a model makes of them.
Leaves: memory-mapped arrays.
Clauses: none.

A row of ``boxes`` is picture number, left, top, right, bottom (pixels of 640 x 360) and kind: 1 a person, 0 a place
to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
Sample = tuple[Picture, Boxes]
"""A picture (345600,) and its boxes (n, 5): left, top, right, bottom, kind."""


def write(folder: Path, number: int, samples: Iterable[Sample]) -> int:
    """Write one shard; returns how many pictures it holds. A shard appears whole or not at all."""
    pictures, boxes = [], []
    for k, (picture, marked) in enumerate(samples):
        pictures.append(picture)
        boxes.append(np.concatenate([np.full((len(marked), 1), k, np.float32), marked.reshape(-1, 5)], axis=1))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{number:05d}.boxes.npy", np.concatenate(boxes).astype(np.float32))
    partial = folder / f"{number:05d}.partial.npy"
    np.save(partial, np.stack(pictures))
    partial.rename(folder / f"{number:05d}.pictures.npy")
    return len(pictures)


class Shelf:
    """All shards of a folder; new ones are found by :meth:`refresh`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[Picture, list[Boxes]]] = {}
        self._index: list[tuple[str, int]] = []
        self.refresh()

    def refresh(self) -> None:
        """Open shards that have appeared since."""
        for path in sorted(self._folder.glob("*.pictures.npy")):
            name = path.name.split(".")[0]
            if name in self._open:
                continue
            pictures = np.load(path, mmap_mode="r")
            rows = np.load(self._folder / f"{name}.boxes.npy")
            split = [rows[rows[:, 0] == k, 1:] for k in range(len(pictures))]
            self._open[name] = (pictures, split)
            self._index += [(name, k) for k in range(len(pictures))]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, number: int) -> Sample:
        name, k = self._index[number]
        pictures, boxes = self._open[name]
        return np.array(pictures[k]), boxes[k]
