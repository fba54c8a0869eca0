"""Labelled pictures to measure on: any COCO-style file, or the held-out part of a training folder, or drawn streets.

Knows:  COCO's form; ``iscrowd`` and ``ignore``; whether all persons of a picture are boxed; what training holds out.
Never:  a picture that training may have seen, unless a set is named as a whole.
Leaves: :class:`PictureSet` values: a name, and for each picture a way to open it and what is on it.
Clauses: none.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tools.evaluate.contender import SMALL, fitting
from tools.evaluate.score import Floats, Marked
from tools.train.real_samples import Photograph, held_out

SMALLEST_HEIGHT = 15.0
"""Small-picture pixels; shorter persons are neither missed nor false."""

LEAST_SHARE = 0.3
"""Of a person cut by a window, the least share that makes it asked for."""

SHORT_NAMES = {
    "coco2017": "coco",
    "intel_sample_videos": "intel",
    "roboflow_capston2_fixedcam": "fixedcam",
    "roboflow_capston2_wearable": "wearable",
}
PERSON_NAMES = frozenset({"person", "pedestrian", "people"})


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures that belong together. ``pictures`` yields RGB pictures with what is on them, the same each time."""

    name: str
    pictures: Callable[[], Iterator[tuple[Image.Image, Marked]]]

    @property
    def complete(self) -> bool:
        """Whether every person of every picture is boxed."""
        return all(marked.complete for _, marked in self.pictures())


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture of a COCO file: boxes (n, 4) in its own pixels; ``regions`` are crowds and places to ignore."""

    path: Path
    source: str
    complete: bool
    persons: Floats
    regions: Floats


def boxes_of(rows: list[list[float]]) -> Floats:
    """Return (n, 4) from COCO's left, top, width, height."""
    out = np.array(rows, np.float32).reshape(-1, 4)
    out[:, 2:] += out[:, :2]
    return out


def read_coco(annotations: Path, images: Path) -> list[Labelled]:
    """Read a COCO file; without ``source`` a picture's source is the file's name, without a word it is complete."""
    document = json.loads(annotations.read_text())
    persons = {c["id"] for c in document["categories"] if c["name"].lower() in PERSON_NAMES}
    marks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for mark in document["annotations"]:
        if mark["category_id"] in persons:
            marks[mark["image_id"]].append(mark)
    out = []
    for entry in document["images"]:
        boxes: tuple[list[list[float]], list[list[float]]] = ([], [])
        for mark in marks[entry["id"]]:
            boxes[bool(mark.get("iscrowd") or mark.get("ignore"))].append(mark["bbox"])
        out.append(
            Labelled(
                images / entry["file_name"],
                str(entry.get("source", annotations.stem)),
                bool(entry.get("person_boxes_complete", True)),
                boxes_of(boxes[0]),
                boxes_of(boxes[1]),
            )
        )
    return out


def opened(labelled: Labelled, *, window: bool) -> tuple[Image.Image, Marked]:
    """Return a picture and what is on it, in small-picture pixels; ``window`` takes its middle 16:9 only."""
    with Image.open(labelled.path) as file:
        picture = file.convert("RGB")
    left, top, width, height = 0, 0, *picture.size
    if window:
        width, height = min(width, height * 16 // 9), min(height, width * 9 // 16)
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    factor = fitting(picture.size, SMALL)[0]
    corner, limit = np.array([left, top] * 2, np.float32), np.array([width, height] * 2, np.float32)
    cut = [np.clip(boxes - corner, 0, limit) for boxes in (labelled.persons, labelled.regions)]
    share = _areas(cut[0]) / np.maximum(_areas(labelled.persons), 1e-9)
    tall = (cut[0][:, 3] - cut[0][:, 1]) * factor
    asked = (share >= LEAST_SHARE) & (tall >= SMALLEST_HEIGHT)
    spared = ~asked & (share > 0)
    return picture, Marked(
        (cut[0][asked] * factor).astype(np.float32),
        (cut[0][spared] * factor).astype(np.float32),
        (cut[1][_areas(cut[1]) > 0] * factor).astype(np.float32),
        labelled.complete,
    )


def _areas(boxes: Floats) -> Floats:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.float32)


def as_set(name: str, chosen: list[Labelled], *, window: bool = False) -> PictureSet:
    """Return a set of these pictures, opened when they are asked for."""
    return PictureSet(name, lambda: (opened(one, window=window) for one in chosen))


def held_out_sets(data: Path) -> list[PictureSet]:
    """Return the held-out part of each source of a training folder that has persons.

    Each source comes twice where its pictures are not 16:9 already: whole, and as its middle 16:9 window, which is the
    form a pole's camera has.
    """
    by_source: dict[str, list[Labelled]] = defaultdict(list)
    for one in read_coco(data / "people" / "annotations.json", data / "people" / "images"):
        if held_out(Photograph(one.path, one.source, "", one.complete)):
            by_source[one.source].append(one)
    out = []
    for source, chosen in sorted(by_source.items()):
        if not any(len(one.persons) for one in chosen):
            continue
        name = SHORT_NAMES.get(source, source)
        out.append(as_set(name, chosen))
        if any(_odd(one.path) for one in chosen):
            out.append(as_set(f"{name}-16:9", chosen, window=True))
    return out


def _odd(path: Path) -> bool:
    with Image.open(path) as file:
        return abs(file.width * 9 / (file.height * 16) - 1) > 0.02
