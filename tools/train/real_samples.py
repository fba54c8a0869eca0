"""Labelled pictures of real people from a folder outside the project.

Knows:  ``people/annotations.json`` (COCO form with source, tier, completeness) and the pictures beside it.
Never:  a picture whose tier was left out; a held-out picture in training.
Leaves: samples in the camera's colours, a manifest of sources with hashes.
Clauses: none.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tools.train.shards import Boxes, Picture, Sample
from tools.train.views import Labelled

Row = tuple[float, float, float, float, float]
Taught = dict[str, list[list[float]]]
"""Boxes of a teacher by file name: edges, how sure its views are together, how sure its surest is."""

HELD, EVERYDAY_HELD = 38, 128
"""Of 256: how many are held out of most sources, and of everyday photographs, of which there are few."""

SURE, DOUBTFUL = 0.38, 0.12
"""A teacher's box above the first is a person, below the second nothing; between them nobody is judged."""


@dataclass(slots=True)
class Photograph:
    """One picture: path, source, person boxes (left, top, right, bottom, kind), polygons, faces as annotated."""

    path: Path
    source: str
    tier: str
    complete: bool
    rows: list[Row] = field(default_factory=list)
    polygons: list[list[float]] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)


def read_folder(data: Path, *, tier_b: bool) -> list[Photograph]:
    """Read every photograph of ``data``; ``tier_b`` False leaves out what has no verified origin."""
    document = json.loads((data / "people" / "annotations.json").read_text())
    marks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for mark in document["annotations"]:
        marks[mark["image_id"]].append(mark)
    out = []
    for entry in document["images"]:
        if entry["tier"] != "A" and not tier_b:
            continue
        photo = Photograph(
            data / "people" / "images" / entry["file_name"],
            entry["source"],
            entry["tier"],
            bool(entry["person_boxes_complete"]),
        )
        for mark in marks[entry["id"]]:
            if mark["category_id"] == 2:
                photo.faces.append(mark)
                continue
            x, y, w, h = mark["bbox"]
            photo.rows.append((x, y, x + w, y + h, 0.0 if mark.get("iscrowd") else 1.0))
            if isinstance(mark.get("segmentation"), list) and mark["segmentation"] and not mark.get("iscrowd"):
                photo.polygons.append(mark["segmentation"][0])
        out.append(photo)
    return out


def held_out(photo: Photograph) -> bool:
    """Whether a photograph is for validation only. Clips stay whole; other pictures are drawn by their name's hash."""
    name = photo.path.name
    if photo.source == "intel_sample_videos":
        return "one-by-one" in name
    stem = name.split("_mp4")[0] if "_mp4" in name else name
    share = EVERYDAY_HELD if photo.source == "coco2017" else HELD
    return hashlib.sha256(stem.encode()).digest()[0] < share


def sources(photos: list[Photograph]) -> dict[str, dict[str, object]]:
    """Return, for each source, tier, number of pictures and one sha256 over all of them in name order."""
    out: dict[str, dict[str, object]] = {}
    count = Counter(photo.source for photo in photos)
    for source in sorted(count):
        digest = hashlib.sha256()
        for photo in sorted((p for p in photos if p.source == source), key=lambda p: p.path.name):
            digest.update(hashlib.sha256(photo.path.read_bytes()).digest())
        tier = next(photo.tier for photo in photos if photo.source == source)
        out[source] = {"tier": tier, "pictures": count[source], "sha256": digest.hexdigest()}
    return out


def labelled(photo: Photograph, taught: Taught) -> Labelled:
    """Open a photograph: its own boxes where they are complete, else those and the teacher's (``taught`` by name).

    A face that lies in no person's box has a body around it of which nobody is judged.
    """
    with Image.open(photo.path) as opened:
        y, u, v = opened.convert("RGB").convert("YCbCr").split()
    rows = [(*row, 1.0) for row in photo.rows]
    if not photo.complete:
        for left, top, right, bottom, sure, best in taught.get(photo.path.name, []):
            if any(_shared((left, top, right, bottom), row) > 0.5 for row in photo.rows):
                continue
            if sure >= DOUBTFUL or best >= 2 * DOUBTFUL:
                rows.append((left, top, right, bottom, float(sure >= SURE), min(1.0, 0.4 + sure)))
        for face in photo.faces:
            x, across, w, h = face["bbox"]
            if not any(r[0] <= x + w / 2 <= r[2] and r[1] <= across + h / 2 <= r[3] and r[4] == 1 for r in rows):
                rows.append((x - 1.2 * w, across - 0.5 * h, x + 2.2 * w, across + 6 * h, 0.0, 1.0))
    return Labelled((y, u, v), np.array(rows, np.float32).reshape(-1, 6))


def _shared(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    w = min(first[2], second[2]) - max(first[0], second[0])
    h = min(first[3], second[3]) - max(first[1], second[1])
    if w <= 0 or h <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return w * h / (sum(areas) - w * h)


def cut_outs(photos: list[Photograph], smallest: int = 60) -> list[Image.Image]:
    """Cut people out of photographs along their polygons (RGBA), whole-looking ones only."""
    out = []
    for photo in photos:
        if not photo.polygons:
            continue
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB")
        for polygon in photo.polygons:
            points = [(polygon[k], polygon[k + 1]) for k in range(0, len(polygon) - 1, 2)]
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            box = (int(min(xs)), int(min(ys)), int(max(xs)) + 1, int(max(ys)) + 1)
            if box[3] - box[1] < smallest or not 1.5 < (box[3] - box[1]) / (box[2] - box[0]) < 4.2:
                continue
            mask = Image.new("L", picture.size, 0)
            ImageDraw.Draw(mask).polygon(points, fill=255)
            piece = picture.copy()
            piece.putalpha(mask)
            out.append(piece.crop(box))
    return out


def paste_people(
    sample: Sample, pieces: list[Image.Image], rng: np.random.Generator, horizon: float, foot: float
) -> Sample:
    """Paste cut-out people onto a street; height grows from 0 at row ``horizon`` to ``foot`` pixels at row 360."""
    picture, boxes = sample[0].copy(), list(sample[1])
    y_plane = picture[: 640 * 360].reshape(360, 640)
    chroma = picture[640 * 360 :].reshape(2, 180, 320)
    level = float(np.clip(y_plane.mean() / 120, 0.35, 1.15))
    rows = np.sort(rng.uniform(100, 400, int(rng.integers(1, 9))))
    if len(rows) > 2 and rng.random() < 0.5:
        rows[1:] = rows[0] + rng.uniform(0, 26, len(rows) - 1)  # a group, one before the other
        rows.sort()
    middle, together = float(rng.uniform(60, 580)), bool(rng.random() < 0.5)
    for row in rows:
        tall = foot * (row - horizon) / (360 - horizon) * float(rng.uniform(0.85, 1.12))
        if not 18 < tall < 340:
            continue
        piece = pieces[int(rng.integers(len(pieces)))]
        size = (max(6, round(piece.width * tall / piece.height)), round(tall))
        centre = middle + float(rng.normal(0, tall * 0.35)) if together else float(rng.uniform(0, 640))
        x, y = int(centre - size[0] / 2) // 2 * 2, int(row - tall) // 2 * 2
        found = _paste(y_plane, chroma, piece, size, (x, y), level, flip=bool(rng.random() < 0.5))
        if found is not None:
            boxes.append(found)
    return picture, _hide(boxes)


def _paste(
    y_plane: Picture,
    chroma: Picture,
    piece: Image.Image,
    size: tuple[int, int],
    at: tuple[int, int],
    level: float,
    *,
    flip: bool,
) -> np.ndarray[Any, Any] | None:
    """Lay one cut-out onto the planes; returns its box and kind, None where nothing of it is in the picture."""
    small = piece.resize(size, Image.Resampling.BOX)
    if flip:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x, y = at
    a, b, c, d = max(x, 0), max(y, 0), min(x + size[0], 640) // 2 * 2, min(y + size[1], 360) // 2 * 2
    if c - a < 6 or d - b < 10:
        return None
    ycc = np.asarray(small.convert("RGB").convert("YCbCr"), np.float32)[b - y : d - y, a - x : c - x]
    cover = np.asarray(small.getchannel("A"), np.float32)[b - y : d - y, a - x : c - x] / 255
    y_plane[b:d, a:c] = np.clip(y_plane[b:d, a:c] * (1 - cover) + ycc[..., 0] * level * cover, 0, 255)
    thin = cover[::2, ::2]
    for k in range(2):
        here = chroma[k, b // 2 : d // 2, a // 2 : c // 2]
        tone = (ycc[::2, ::2, k + 1] - 128) * level + 128
        here[...] = np.clip(here * (1 - thin) + tone * thin, 0, 255).astype(np.uint8)
    whole = (c - a) * (d - b) / (size[0] * size[1])
    return np.array([a, b, c, d, 1.0 if whole > 0.3 else 0.0], np.float32)


def _hide(boxes: list[np.ndarray[Any, Any]]) -> Boxes:
    """Turn boxes that later ones cover by more than 70 % into places to ignore."""
    out = np.array(boxes, np.float32).reshape(-1, 5)
    for k in range(len(out)):
        for later in out[k + 1 :]:
            w = min(out[k, 2], later[2]) - max(out[k, 0], later[0])
            h = min(out[k, 3], later[3]) - max(out[k, 1], later[1])
            area = (out[k, 2] - out[k, 0]) * (out[k, 3] - out[k, 1])
            if w > 0 and h > 0 and w * h > 0.7 * area:
                out[k, 4] = 0
    return out
